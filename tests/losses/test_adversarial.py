import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from genlab.losses.adversarial import (
    around,
    between,
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    squared_slope,
)


def smooth_network() -> torch.nn.Module:
    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(8, 6), torch.nn.Tanh(), torch.nn.Linear(6, 1))
    return torch.nn.Sequential(layers, torch.nn.Flatten(0)).double()


def finite_differences(function, x: torch.Tensor, h: float = 1e-6) -> torch.Tensor:
    """Slopes of function: [N, ...] -> [N] by central differences, one coordinate at a time."""
    flat = x.flatten(1)
    columns = []
    for coordinate in range(flat.shape[1]):
        shift = torch.zeros_like(flat)
        shift[:, coordinate] = h
        up, down = function((flat + shift).view_as(x)), function((flat - shift).view_as(x))
        columns.append((up - down) / (2 * h))
    return torch.stack(columns, dim=1).detach()


def test_the_non_saturating_losses_are_cross_entropies():
    real, fake = torch.randn(2, 50, dtype=torch.float64) * 5
    ones, zeros = torch.ones_like(real), torch.zeros_like(real)
    expected = binary_cross_entropy_with_logits(real, ones) + binary_cross_entropy_with_logits(fake, zeros)
    assert torch.allclose(discriminator_loss("non-saturating", real, fake), expected)
    assert torch.allclose(generator_loss("non-saturating", fake), binary_cross_entropy_with_logits(fake, ones))


def test_losses_by_hand():
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.5])
    assert discriminator_loss("hinge", real, fake).item() == pytest.approx((0 + 0.5) / 2 + (0 + 1.5) / 2)
    assert discriminator_loss("least-squares", real, fake).item() == pytest.approx((1 + 0.25 + 9 + 0.25) / 4)
    assert discriminator_loss("wasserstein", real, fake).item() == pytest.approx(-1.25 - 1.25)
    assert generator_loss("hinge", fake).item() == pytest.approx(1.25)
    assert generator_loss("least-squares", fake).item() == pytest.approx((16 + 0.25) / 4)
    assert generator_loss("wasserstein", fake).item() == pytest.approx(1.25)
    assert discriminator_loss("energy", real, fake).item() == pytest.approx((0 + 1.5) / 2 - 1.25)
    assert generator_loss("energy", fake).item() == pytest.approx(1.25)


def test_relativistic_losses_compare_pairs():
    real, fake = torch.randn(2, 50, dtype=torch.float64)
    ones = torch.ones_like(real)
    of_discriminator = binary_cross_entropy_with_logits(real - fake, ones)
    assert torch.allclose(discriminator_loss("relativistic", real, fake), of_discriminator)
    of_generator = binary_cross_entropy_with_logits(fake - real, ones)
    assert torch.allclose(generator_loss("relativistic", fake, real), of_generator)


def test_the_minimax_game_is_of_zero_sum_but_for_what_the_generator_cannot_change():
    fake = torch.randn(50, dtype=torch.float64)
    zero = torch.full_like(fake, 50)  # -log sigma(50)
    total = discriminator_loss("minimax", zero, fake) + generator_loss("minimax", fake)
    assert total.item() == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("shape, deviation", [((7,), 1.0), ((2, 3, 4), None)])
def test_points_around_the_data_lie_within_half_a_deviation(shape, deviation):
    real, noise = torch.randn(5, *shape), torch.rand(5, *shape)
    wanted = real.flatten(1).std(1) if deviation is None else torch.full((5,), deviation)
    moved = (around(real, noise) - real).flatten(1)
    assert torch.allclose(moved, wanted[:, None] * noise.flatten(1) / 2, atol=1e-6)


def test_the_squared_slope_and_its_gradient_agree_with_finite_differences():
    network, x = smooth_network(), torch.randn(5, 8, dtype=torch.float64)
    penalty = squared_slope(network, x)
    assert penalty.item() == pytest.approx(finite_differences(network, x).square().sum(1).mean().item() / 2, rel=1e-6)
    # The second derivative: move one weight by hand.
    weight = network[0][1].weight
    (gradient,) = torch.autograd.grad(penalty, weight)
    values = []
    for sign in (1, -1):
        weight.data[0, 0] += sign * 1e-6
        values.append(squared_slope(network, x).item())
        weight.data[0, 0] -= sign * 1e-6
    assert gradient[0, 0].item() == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5)


def test_the_gradient_penalty_agrees_with_finite_differences_on_the_line():
    network = smooth_network()
    real, fake = torch.randn(2, 5, 8, dtype=torch.float64)
    position = torch.rand(5, dtype=torch.float64)
    points = real + position[:, None] * (fake - real)
    expected = (finite_differences(network, points).norm(dim=1) - 1).square().mean()
    assert gradient_penalty(network, between(real, fake, position)).item() == pytest.approx(expected.item(), rel=1e-6)
