"""Active units and total correlation of codes with a known distribution."""

import math

import pytest
import torch
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

from genlab.metrics.latents import active_units, total_correlation


def test_units_are_active_where_images_move_them():
    torch.manual_seed(0)
    codes = torch.randn(5000, 5) * torch.tensor([1.0, 0.11, 0.09, 0.0, 0.5]) + 3
    assert active_units(codes) == 3
    assert active_units(codes, threshold=0.5) == 1


def test_total_correlation_of_a_known_normal():
    """KL between the joint and the product of its marginals, by torch.distributions."""
    torch.manual_seed(0)
    mixing = torch.randn(4, 4).double()
    joint = MultivariateNormal(torch.zeros(4).double(), mixing @ mixing.T)
    codes = joint.sample((200_000,))
    marginals = Independent(Normal(joint.mean, joint.variance.sqrt()), 1)
    product = MultivariateNormal(marginals.mean, torch.diag(marginals.variance))
    assert total_correlation(codes) == pytest.approx(kl_divergence(joint, product).item(), rel=0.01)


def test_total_correlation_of_two_codes_is_their_mutual_information():
    """-log(1 - rho^2) / 2, whatever the units, and whatever codes stand still."""
    torch.manual_seed(0)
    codes = torch.randn(200_000, 2)
    codes[:, 1] = 100 * (0.6 * codes[:, 0] + 0.8 * codes[:, 1])
    still = torch.full((200_000, 1), 0.3)
    assert total_correlation(torch.cat([codes, still], 1)) == pytest.approx(-math.log(1 - 0.36) / 2, rel=0.02)


def test_independent_codes_have_none_and_copies_no_end_of_it():
    torch.manual_seed(0)
    codes = torch.randn(100_000, 3)
    assert 0 <= total_correlation(codes) < 1e-3
    assert total_correlation(codes[:, :1]) == 0.0
    assert total_correlation(torch.cat([codes, codes[:, :1]], 1)) > 15
