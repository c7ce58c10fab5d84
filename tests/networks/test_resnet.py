"""The residual generator: sizes, padding, positions, refusals."""

import pytest
import torch

from genlab.networks.resnet import PixelNorm, ResNet, ResNetGenerator


@pytest.mark.parametrize(
    "shape, padding",
    [((3, 32, 32), "zeros"), ((2, 17, 23), "reflect"), ((1, 8, 8), "reflect"), ((4, 9, 11), "zeros")],
)
def test_keeps_every_size_and_gives_the_channels_asked_for(shape, padding):
    torch.manual_seed(0)
    generator = ResNet(width=2, blocks=1, padding=padding).translator(shape, (5, *shape[1:]), dropout=0.5)
    painted = generator(torch.rand(2, *shape) * 2 - 1)
    assert painted.shape == (2, 5, *shape[1:])


def test_only_zero_padding_tells_the_blocks_where_the_edge_is():
    x = torch.ones(1, 8, 12, 12)
    for padding, uniform in (("reflect", True), ("zeros", False)):
        torch.manual_seed(0)
        block = ResNetGenerator((1, 48, 48), 1, width=2, blocks=1, padding=padding).body[9]
        maps = block.body[0](x)
        assert torch.allclose(maps[..., 0, :], maps[..., 6, :], atol=1e-6) is uniform


@pytest.mark.parametrize(("normalization", "local"), [("pixel", True), ("instance", False)])
def test_pixel_normalization_alone_keeps_what_is_far_away_out(normalization, local):
    torch.manual_seed(0)
    generator = ResNetGenerator((1, 64, 64), 1, width=4, blocks=1, normalization=normalization).double()
    x = torch.rand(1, 1, 64, 64, dtype=torch.float64)
    changed = x.clone()
    changed[..., :8] = 1 - changed[..., :8]
    corner = [generator(image)[..., 56:] for image in (x, changed)]
    assert torch.equal(*corner) is local


def test_pixel_normalization_gives_every_pixel_the_same_length():
    x = torch.randn(2, 6, 3, 4, dtype=torch.float64)
    y = PixelNorm()(x)
    torch.testing.assert_close(y.square().mean(1), torch.ones(2, 3, 4, dtype=torch.float64), rtol=0, atol=1e-3)
    torch.testing.assert_close(y / y.norm(dim=1, keepdim=True), x / x.norm(dim=1, keepdim=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (3, 7, 32)}, r"7x32.*at least 8"),
        ({"out_shape": (3, 32, 64)}, r"network=resnet.*32x32 and 32x64"),
        ({"shape": (2,)}, r"network=resnet.*\[2\]"),
        ({"width": 0}, r"network.width=0"),
        ({"blocks": -1}, r"blocks=-1: must be at least 0"),
        ({"normalization": "batch"}, r"normalization='batch': choose from instance, pixel"),
        ({"padding": "mirror"}, r"padding='mirror': choose from zeros, reflect"),
    ],
)
def test_refuses_bad_values_with_the_way_out(options, message):
    with pytest.raises(ValueError, match=message):
        shape = options.pop("shape", (3, 32, 32))
        out_shape = options.pop("out_shape", shape)
        ResNet(**options).translator(shape, out_shape)
