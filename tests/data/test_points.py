"""Rendered points: densities that integrate to 1 and match the samples, moments, and the seed."""

import pickle

import pytest
import torch
from scipy import stats

from genlab.data.point_shapes import Checkerboard, Moons, Pinwheel, SwissRoll
from genlab.data.points import Grid, Mixture1d, Ring

ALL = [Mixture1d, Ring, Grid, Moons, SwissRoll, Pinwheel, Checkerboard]
WITH_DENSITY = [Mixture1d, Ring, Grid, Pinwheel, Checkerboard]
WIDE = {Ring: {"deviation": 0.1}, Grid: {"deviation": 0.2}, Pinwheel: {"width": 0.1}}
"""Wide enough for a coarse grid."""


def table(source, split="train"):
    (examples,) = source.open(split)
    return examples.load()


@pytest.mark.parametrize("kind", ALL)
def test_spec_describes_the_table(kind):
    source = kind(num_train=20_000, num_validation=300, seed=5)
    train, held_out = table(source), table(source, "validation")
    assert source.kind == "points" and source.spec["x"].kind == "points" and source.spec.num_examples == 20_000
    assert train["x"].shape == (20_000, *source.spec["x"].shape) and train["x"].dtype == torch.float32
    assert len(held_out["x"]) == 300 and set(train) == set(source.spec.fields)
    scale = torch.tensor(source.spec["x"].scale)
    assert ((train["x"].mean(0) - torch.tensor(source.spec["x"].centre)) / scale).abs().max() < 0.03
    assert (train["x"].std(0) / scale - 1).abs().max() < 0.03
    if "label" in train:
        assert train["label"].unique().tolist() == list(range(source.spec["label"].size))


@pytest.mark.parametrize("kind", ALL)
def test_points_are_a_function_of_the_seed_and_the_split(kind):
    def drawn(split="train", seed=0):
        return table(kind(num_train=50, num_validation=50, seed=seed), split)["x"]

    assert torch.equal(drawn(), drawn())
    assert not torch.equal(drawn(), drawn(seed=1)) and not torch.equal(drawn(), drawn("validation"))


@pytest.mark.parametrize("kind", WITH_DENSITY)
def test_densities_integrate_to_one_and_are_those_of_the_points(kind):
    """E f(x) over samples against the integral of f p, for f = 1, coordinates and their products."""
    source = pickle.loads(pickle.dumps(kind(num_train=50_000, **WIDE.get(kind, {}))))
    x = table(source)["x"].double()
    dimensions = x.shape[1]
    sides = [torch.linspace(-6, 6.0, 6001 if dimensions == 1 else 601, dtype=torch.float64)] * dimensions
    places = torch.cartesian_prod(*sides).view(-1, dimensions) + (
        0.001 if dimensions == 1 else 0.01
    )  # centres of the cells
    cell = (sides[0][1] - sides[0][0]) ** dimensions
    density = source.log_density(places).exp() * cell
    assert density.sum().item() == pytest.approx(1, abs=0.01)
    for test in (lambda x: x.mean(1), lambda x: x.square().sum(1), lambda x: torch.sin(3 * x).prod(1)):
        values = test(x)
        error = 5 * values.std().item() / len(x) ** 0.5 + 0.01
        assert values.mean().item() == pytest.approx((density * test(places)).sum().item(), abs=error)


def test_points_on_the_line_follow_their_distribution():
    source = Mixture1d(centres=[0.0, 3.0], deviations=[0.5, 1.0], weights=[2.0, 6.0])
    x = table(source)["x"][:, 0].numpy()

    def cumulative(value):
        return 0.25 * stats.norm.cdf(value, 0, 0.5) + 0.75 * stats.norm.cdf(value, 3, 1)

    assert stats.kstest(x, cumulative).pvalue > 1e-3


@pytest.mark.parametrize("source", [Ring(), Grid(), Mixture1d()])
def test_labels_are_modes(source):
    found = table(source)
    centres, deviation = source.modes
    assert centres.shape == (source.spec["label"].size, *source.spec["x"].shape)
    noise = (found["x"] - centres[found["label"]]) / deviation[found["label"], None]
    assert noise.std().item() == pytest.approx(1, abs=0.02) and noise.mean().item() == pytest.approx(0, abs=0.02)


def test_the_published_mixtures():
    centres, deviation = Ring().modes
    assert centres.norm(dim=1).tolist() == pytest.approx([1.0] * 8) and deviation.tolist() == pytest.approx([0.01] * 8)
    centres, deviation = Grid().modes
    assert {tuple(centre) for centre in centres.tolist()} == {(x, y) for x in range(-4, 5, 2) for y in range(-4, 5, 2)}
    assert deviation.tolist() == pytest.approx([0.05] * 25)


def test_scales_and_weights_at_the_ends_of_what_is_allowed():
    tiny = Mixture1d(centres=[0.0, 1e-30], deviations=[1e-30, 1e-30], weights=[1e-50, 3e-50], num_train=100)
    assert tiny.mixture.weights.tolist() == [0.25, 0.75] and (table(tiny)["x"] != 0).all()
    assert tiny.log_density(table(tiny)["x"]).isfinite().all()
    assert table(Ring(radius=1e30, deviation=1e28, num_train=10))["x"].isfinite().all()


def test_shapes_without_a_known_density_say_so():
    assert Moons().log_density is None and SwissRoll().modes is None


@pytest.mark.parametrize(
    "kind, settings, key",
    [
        (Ring, {"modes": 0}, "modes"),
        (Ring, {"deviation": 0.0}, "deviation"),
        (Grid, {"num_train": 0}, "num_train"),
        (Grid, {"num_validation": 0}, "num_validation"),
        (Moons, {"noise": -1.0}, "noise"),
        (Pinwheel, {"arms": 2}, "arms"),
        (Checkerboard, {"cells": 3}, "cells"),
        (Mixture1d, {"weights": [1.0]}, "weights"),
        (Mixture1d, {"deviations": [1.0, 0.0, 1.0]}, "deviations"),
        (Mixture1d, {"centres": []}, "centres"),
        (Mixture1d, {"num_train": 10**15}, "fewer"),
        (Ring, {"radius": 1e200}, "radius"),
        (Ring, {"deviation": 1e-60}, "deviation"),
        (Pinwheel, {"width": 1e-46}, "width"),
        (Mixture1d, {"weights": [1e-50, 1.0, 1.0]}, "weights"),
        (Mixture1d, {"weights": [1e308, 1e308, float("nan")]}, "weights"),
        (Mixture1d, {"centres": [0.0, 1.0, 1e200]}, "centres"),
        (Mixture1d, {"centres": [1.7e9], "deviations": [300.0], "weights": [1.0]}, "nearer to 0"),
    ],
)
def test_settings_out_of_range_are_refused(kind, settings, key):
    with pytest.raises(ValueError, match=key) as error:
        kind(**settings)
    assert "\n" not in str(error.value)
