"""Grey levels as real numbers: inverse, log-determinant by autograd, and noise whose density integrates to 1."""

import pytest
import torch

from genlab.networks.dequantised import Dequantised, VariationalNoise

SHAPE = (2, 3, 3)
PIXELS = Dequantised(levels=8, margin=1e-6, scale=0.4)


def images(count, shape=SHAPE, levels=8):
    return torch.randint(levels, (count, *shape)).double() / (levels - 1)


def noise_of(shape=SHAPE):
    """With weights larger than at the start, so that nothing is hidden."""
    torch.manual_seed(0)
    found = VariationalNoise(shape, channels=8).double().requires_grad_(False)
    for parameter in found.parameters():
        parameter += 0.1 * torch.randn_like(parameter)
    return found


def test_the_middle_of_a_level_comes_back():
    x = images(20)
    y, _ = PIXELS.inward(x, torch.full_like(x, 0.5))
    torch.testing.assert_close(PIXELS.outward(y), x)
    assert torch.equal(PIXELS.rounded(PIXELS.outward(PIXELS.inward(x, torch.rand_like(x))[0])), x)


def test_the_determinant_is_that_of_the_jacobian():
    x, u = images(1), torch.rand(1, *SHAPE, dtype=torch.float64)
    matrix = torch.autograd.functional.jacobian(lambda u: PIXELS.inward(x, u.view_as(x))[0].flatten(), u.flatten())
    torch.testing.assert_close(PIXELS.inward(x, u)[1][0], matrix.slogdet().logabsdet)


def test_black_and_white_are_equally_precise():
    """In float32, with noise at the ends of the outermost levels: 1 - w is not rounded to 0."""
    least = 2.0**-24
    x, u = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1), torch.tensor([least, 1 - least]).view(2, 1, 1, 1)
    sharp = Dequantised(levels=256, margin=1e-9, scale=1.0)
    y, log_det = sharp.inward(x, u)
    exact = sharp.inward(x.double(), u.double())
    torch.testing.assert_close(y.double(), exact[0], rtol=1e-5, atol=0)
    torch.testing.assert_close(log_det.double(), exact[1], rtol=1e-5, atol=0)


def test_noise_begins_uniform():
    torch.manual_seed(0)
    e, x = torch.rand(5, *SHAPE), images(5).float()
    found = VariationalNoise(SHAPE)(e, x)
    torch.testing.assert_close(found[:, :-1].view_as(e), e, rtol=0, atol=1e-6)
    assert found[:, -1].abs().max() < 1e-4


def test_the_density_of_noise_is_that_of_the_jacobian():
    found, e, x = noise_of(), torch.rand(2, *SHAPE, dtype=torch.float64), images(2)
    log_q = found(e, x)[:, -1]
    for row in range(2):
        jacobian = torch.autograd.functional.jacobian(
            lambda e, row=row: found(e.view(1, *SHAPE), x[row : row + 1])[0, :-1], e[row].flatten()
        )
        torch.testing.assert_close(log_q[row], -jacobian.slogdet().logabsdet)
    assert not torch.allclose(found(e[:1], x[:1]), found(e[:1], x[1:])), "noise depends on the image"


def test_the_density_of_noise_integrates_to_one():
    """E 1 / q(u) over u of q is the volume of the square that u fills."""
    found = noise_of((1, 1, 2))
    middles = (torch.arange(250, dtype=torch.float64) + 0.5) / 250
    e = torch.cartesian_prod(middles, middles).view(-1, 1, 1, 2)
    out = found(e, torch.ones_like(e))
    assert (-out[:, -1]).exp().mean().item() == pytest.approx(1, abs=5e-3)
    assert out[:, -1].std() > 0.1, "and it is not the uniform one"
