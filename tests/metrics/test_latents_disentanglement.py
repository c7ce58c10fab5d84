"""Disentanglement scores of codes made on purpose: perfect ones, turned ones, doubled ones, and noise."""

import numpy as np
import pytest
import torch

from genlab.data.shapes import Shapes
from genlab.metrics.disentanglement.beta_vae import beta_vae_score
from genlab.metrics.disentanglement.dci import dci
from genlab.metrics.disentanglement.factor_vae import factor_vae_score
from genlab.metrics.disentanglement.mig import mig, mutual_information_gaps
from genlab.metrics.disentanglement.sap import predictability_gaps, sap
from genlab.metrics.disentanglement.scores import disentanglement_scores
from genlab.metrics.disentanglement.table import tabulate

SHAPE = 0


@pytest.fixture(scope="module")
def factors():
    """3,000 random cells of the grid of `shapes`: shape, scale, orientation, x, y."""
    generator = torch.Generator().manual_seed(0)
    columns = [values[torch.randint(len(values), (3000,), generator=generator)] for values in Shapes().values]
    return torch.stack(columns, dim=1)


@pytest.fixture(scope="module")
def perfect(factors):
    """Each factor alone in a code, in another order, in other units, some reversed; and two codes of faint noise."""
    codes = factors[:, [3, 0, 4, 2, 1]] * torch.tensor([2.0, -1.0, 0.3, 1.0, -5.0]) + 1
    return torch.cat([codes, 0.01 * noise(3000, 2)], dim=1)


def noise(rows, columns):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(1))


def test_perfect_codes_score_one(factors, perfect):
    scores = disentanglement_scores(perfect, factors, seed=0, categorical=[SHAPE])
    assert set(scores) == {
        *("mig", "sap", "factor_vae_score", "beta_vae_score"),
        *("dci_disentanglement", "dci_completeness", "dci_informativeness"),
    }
    for name, score in scores.items():
        assert score == pytest.approx(1.0, abs=0.02), name


def test_noise_scores_nothing_or_chance(factors):
    scores = disentanglement_scores(noise(3000, 6), factors, seed=0, categorical=[SHAPE])
    assert 0 <= scores["mig"] < 0.05 and 0 <= scores["sap"] < 0.05
    assert scores["dci_disentanglement"] < 0.1 and scores["dci_completeness"] < 0.1
    chance = np.mean([1 / len(values) for values in Shapes().values])
    assert scores["dci_informativeness"] == pytest.approx(chance, abs=0.02)
    assert scores["factor_vae_score"] == pytest.approx(1 / 5, abs=0.04)
    assert scores["beta_vae_score"] == pytest.approx(1 / 5, abs=0.04)


def test_codes_that_never_move_score_as_noise(factors):
    scores = disentanglement_scores(torch.zeros(3000, 3), factors, seed=0, categorical=[SHAPE])
    for name in ("mig", "sap", "dci_disentanglement", "dci_completeness"):
        assert scores[name] == 0.0
    assert scores["factor_vae_score"] == pytest.approx(1 / 5, abs=0.04)


def test_two_copies_of_a_code_leave_no_gap(factors, perfect):
    doubled = torch.cat([perfect, 2 * perfect], dim=1)
    assert mig(doubled, factors) == pytest.approx(0.0, abs=1e-9)
    assert sap(doubled, factors) == pytest.approx(0.0, abs=1e-6)
    forest = dci(doubled, factors, seed=0)
    assert forest["disentanglement"] > 0.95 and forest["completeness"] < 0.9, "each code is of one factor, not alone"


def test_turned_codes_lose_against_perfect_ones(factors):
    """x and y stay together in two codes, each of which is moved by both."""
    x_and_y = factors[:, 3:]
    turned = x_and_y @ torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    assert mig(turned, x_and_y) < 0.05 and sap(turned, x_and_y) < 0.05
    forest = dci(turned, x_and_y, seed=0)
    assert forest["disentanglement"] < 0.1 and forest["completeness"] < 0.1 and forest["informativeness"] > 0.95
    assert factor_vae_score(turned, x_and_y, seed=0) < 0.6
    assert beta_vae_score(turned, x_and_y, seed=0) < 0.6


def test_mutual_information_is_that_of_the_histogram(factors):
    """I = sum p(z, v) log p(z, v) / (p(z) p(v)) over the cells of numpy's histogram, for two codes of one factor."""
    x, random = factors[:, 3].double(), noise(3000, 2).double()
    codes = torch.stack([x + 0.1 * random[:, 0], x + 0.5 * random[:, 1]], dim=1)
    information = []
    for code in codes.T:
        joint = np.histogram2d(code, np.unique(x, return_inverse=True)[1], bins=(20, 12))[0] / 3000
        product = joint.sum(1, keepdims=True) * joint.sum(0)
        information.append((joint[joint > 0] * np.log(joint[joint > 0] / product[joint > 0])).sum())
    share = np.bincount(np.unique(x, return_inverse=True)[1]) / 3000
    expected = (information[0] - information[1]) / -(share * np.log(share)).sum()
    assert expected > 0.1
    assert mutual_information_gaps(codes, factors[:, 3:4])[0] == pytest.approx(expected, rel=1e-6)


def test_predictability_is_squared_correlation_or_adjusted_accuracy():
    torch.manual_seed(0)
    value = torch.arange(3.0).repeat(2000)[:, None]
    codes = torch.cat([value + 0.3 * torch.randn(6000, 1), torch.randn(6000, 1)], dim=1)
    explained = 2 / 3 / (2 / 3 + 0.09)  # var v / (var v + var noise)
    assert predictability_gaps(codes, value)[0] == pytest.approx(explained, abs=0.01)
    miss = torch.distributions.Normal(0.0, 0.3).cdf(torch.tensor(-0.5)).item()  # beyond half the way to a neighbour
    accuracy = 1 - (miss + 2 * miss + miss) / 3
    assert predictability_gaps(codes, value, categorical=[0])[0] == pytest.approx((3 * accuracy - 1) / 2, abs=0.03)


def test_groups_share_one_value_and_nothing_else(factors):
    table = tabulate(torch.zeros(3000, 1), factors)
    rows = np.arange(300)
    for factor in range(5):
        groups = table.partners(factor, rows, 40, np.random.default_rng(0))
        assert (table.values[groups, factor] == table.values[rows, factor][:, None]).all()
        for other in {0, 1, 2, 3, 4} - {factor}:
            shares = np.bincount(table.values[groups, other].ravel()) / groups.size
            np.testing.assert_allclose(shares, np.bincount(table.values[:, other]) / 3000, atol=0.03)


def test_a_factor_with_one_value_is_left_out(factors, perfect):
    perfect, still = perfect[:1000], factors[:1000].clone()
    still[:, 2] = 0.5
    assert list(mutual_information_gaps(perfect, still)) == [0, 1, 3, 4]
    assert list(predictability_gaps(perfect, still, categorical=[SHAPE])) == [0, 1, 3, 4]
    rest = still[:, [0, 1, 3, 4]]
    assert disentanglement_scores(perfect, still, 0, [SHAPE]) == disentanglement_scores(perfect, rest, 0, [SHAPE])


def test_scores_are_functions_of_the_seed(factors, perfect):
    factors, blurred = factors[:500, [0, 3, 4]], perfect[:500] + 2 * noise(500, 7)
    for score in (dci, factor_vae_score, beta_vae_score):
        first = score(blurred, factors, seed=3)
        torch.manual_seed(9)
        np.random.seed(9)
        assert score(blurred, factors, seed=3) == first
        assert score(blurred, factors, seed=4) != first


def test_the_only_factor_is_always_the_right_answer(factors):
    for score in (factor_vae_score, beta_vae_score):
        assert score(noise(3000, 2), factors[:, 3:4], seed=0) == 1.0


@pytest.mark.parametrize(
    "codes, factors, message",
    [
        (torch.zeros(4, 2), torch.zeros(5, 2), "4 rows do not match the 5 rows of factors"),
        (torch.zeros(5, 2), torch.ones(5, 2), "none takes more than one value"),
        (torch.full((5, 2), torch.nan), torch.eye(5), "latents: must be a table"),
    ],
)
def test_refuses(codes, factors, message):
    with pytest.raises(ValueError, match=message):
        tabulate(codes, factors)


def test_values_must_recur_to_be_held_fixed():
    with pytest.raises(ValueError, match=r"column 0 is 0 in only 1 examples"):
        factor_vae_score(torch.zeros(50, 2), torch.arange(50.0)[:, None], seed=0)
