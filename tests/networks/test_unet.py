"""The U-Net: any size and channels to the same size, and what its options do."""

import pytest
import torch
from torch import nn

from genlab.networks.unet import UNet, UNetNetwork


@pytest.mark.parametrize("size", [(8, 8), (16, 16), (21, 34), (9, 47), (33, 8)])
@pytest.mark.parametrize("normalization", ["instance", "batch", "pixel", "none"])
def test_any_size_and_channels(size, normalization):
    network = UNetNetwork(channels=4, max_channels=8, normalization=normalization, dropout=0.2)
    translator = network.translator((1, *size), (3, *size))
    output = translator(torch.randn(2, 1, *size))
    assert output.shape == (2, 3, *size)
    output.square().mean().backward()
    assert all(parameter.grad is not None for parameter in translator.parameters())


def test_the_narrowest_features_have_sides_of_2_or_3():
    for side in range(8, 40):
        seen = []
        network = UNet((3, side, side), (1, side, side), 2, 4)
        network.down[-1].register_forward_hook(lambda module, inputs, output, seen=seen: seen.append(output.shape[-1]))
        network(torch.zeros(1, 3, side, side))
        assert 2 <= seen[0] <= 3


def test_outputs_see_the_whole_image_and_their_own_pixel():
    torch.manual_seed(0)
    network = UNet((1, 32, 32), (1, 32, 32), 4, 8, "none").double()
    x = torch.randn(1, 1, 32, 32, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(x)[0, 0, 16, 16], x)
    assert gradient[0, 0, 16, 16] != 0
    assert gradient[0, 0, 0, 0] != 0 and gradient[0, 0, 31, 31] != 0


def test_dropout_acts_on_the_innermost_levels():
    network = UNet((3, 128, 128), (3, 128, 128), 2, 4, dropout=0.5)
    assert [any(isinstance(layer, nn.Dropout2d) for layer in step) for step in network.up] == [True] * 3 + [False] * 2


def test_no_raster_of_dots():
    """A flat input gives a flat output far from the borders, from the first step on."""
    torch.manual_seed(0)
    network = UNet((1, 64, 64), (1, 64, 64), 4, 8, "none")
    inner = network(torch.full((1, 1, 64, 64), 0.3))[..., 31:33, 31:33]
    torch.testing.assert_close(inner, inner[..., :1, :1].expand_as(inner), rtol=0.05, atol=0.02)


def test_what_it_cannot_do_is_refused():
    network = UNetNetwork()
    with pytest.raises(ValueError, match=r"8x8 .*16x16"):
        network.translator((3, 8, 8), (3, 16, 16))
    with pytest.raises(ValueError, match="at least 8"):
        network.translator((3, 7, 8), (3, 7, 8))
    with pytest.raises(ValueError, match="network=unet"):
        network.translator((2,), (2,))
    with pytest.raises(ValueError, match="encoder"):
        network.encoder((3, 8, 8), 4)
    for settings, key in [
        ({"normalization": "layer"}, "network.normalization='layer'"),
        ({"dropout": 1.0}, r"network.dropout=1\.0"),
        ({"channels": 8, "max_channels": 4}, "max_channels=4"),
    ]:
        with pytest.raises(ValueError, match=key):
            UNetNetwork(**settings).translator((3, 8, 8), (3, 8, 8))
