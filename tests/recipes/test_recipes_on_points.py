"""GANs at their defaults on points of known density: no mode is lost. Takes minutes, so it is marked slow.

The protocol of modes is that of PacGAN (Lin, Khetan, Fanti, Oh 2018, https://arxiv.org/abs/1712.04086): 2,500 samples,
of high quality within three standard deviations of a mode.
"""

import json
import time

import pytest
from digit_reader import train

from genlab.config.build import build_source
from genlab.inference.load import load
from genlab.metrics.classes import modes_covered
from genlab.metrics.points import wasserstein_1d

pytestmark = pytest.mark.slow

SEEDS = (0, 1, 2)


def samples(folder, dataset, seed, count):
    """Samples of a run at the defaults, its data, and the minutes that it took."""
    start = time.monotonic()
    train(folder, "model=gan", f"dataset={dataset}", f"seed={seed}")
    minutes = (time.monotonic() - start) / 60
    run = load(folder)
    return run.sample(count), build_source(run.config.dataset), minutes


@pytest.mark.parametrize("seed", SEEDS)
def test_a_density_on_the_line_is_met(seed, tmp_path):
    x, source, minutes = samples(tmp_path / "run", "mixture-1d", seed, 10_000)
    real = source.open("validation")[0].load()["x"]
    distance = wasserstein_1d(x, real) / real.std().item()
    print(json.dumps({"seed": seed, "minutes": minutes, "distance": distance}))
    assert distance <= 0.05


@pytest.mark.parametrize("dataset, modes, quality", [("ring", 8, 0.9), ("grid", 25, 0.85)])
@pytest.mark.parametrize("seed", SEEDS)
def test_all_modes_are_covered(dataset, modes, quality, seed, tmp_path):
    x, source, minutes = samples(tmp_path / "run", dataset, seed, 2_500)
    found = modes_covered(x, source.modes.centres, source.modes.deviation)
    print(json.dumps({"seed": seed, "minutes": minutes, **found}))
    assert found["modes_covered"] == modes == found["modes"]
    assert found["high_quality"] >= quality
    assert minutes <= 6
