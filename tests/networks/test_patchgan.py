"""The patch discriminator: map sizes, patch sizes, refusals."""

import pytest
import torch

from genlab.networks.patchgan import PatchDiscriminator


@pytest.mark.parametrize(
    ("shape", "judgements"),
    [
        ((3, 64, 64), (14, 14)),
        ((3, 128, 128), (14, 14)),
        ((3, 17, 23), (6, 9)),
        ((2, 8, 8), (2, 2)),
    ],
)
def test_map_of_judgements_suits_the_image(shape, judgements):
    assert PatchDiscriminator(shape, width=2)(torch.rand(2, *shape)).shape == (2, 1, *judgements)


@pytest.mark.parametrize(
    ("size", "strided", "patch"),
    [(20, None, 16), (64, None, 34), (127, None, 34), (128, None, 70), (256, None, 70), (96, 3, 70), (64, 1, 16)],
)
def test_patches_have_the_sizes_of_the_paper(size, strided, patch):
    """The pixels that one judgement depends on; without normalization, whose statistics see the whole image."""
    torch.manual_seed(0)
    discriminator = PatchDiscriminator((1, size, size), width=4, strided=strided).double()
    for layer in discriminator.modules():
        if isinstance(layer, torch.nn.InstanceNorm2d):
            layer.forward = lambda x: x
    x = torch.rand(1, 1, size, size, dtype=torch.float64, requires_grad=True)
    judgements = discriminator(x)
    judgements[0, 0, judgements.shape[2] // 2, judgements.shape[3] // 2].backward()
    seen = x.grad[0, 0] != 0
    assert seen.any(1).sum() == seen.any(0).sum() == patch


@pytest.mark.parametrize("size", [8, 24, 47, 48])
def test_as_many_strided_layers_as_allowed_leave_a_judgement(size):
    most = max(n for n in range(1, 6) if size // 2**n >= 3)
    judgements = PatchDiscriminator((1, size, size), width=2, strided=most)(torch.rand(1, 1, size, size))
    assert 1 <= judgements.shape[2] == judgements.shape[3] <= 3
    with pytest.raises(ValueError, match=rf"discriminator_layers={most + 1}: .* at most {most} for .*{size}x{size}"):
        PatchDiscriminator((1, size, size), strided=most + 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (3, 32, 6)}, r"32x6.*at least 8"),
        ({"strided": 0}, r"discriminator_layers=0: must be at least 1"),
    ],
)
def test_refuses_bad_values_with_the_way_out(options, message):
    with pytest.raises(ValueError, match=message):
        PatchDiscriminator(**{"shape": (3, 32, 32), **options})
