"""Recipes that take bf16 where a device multiplies it reach what they reach in float32, over three seeds.

Half an hour on two cores, longer where bf16 is emulated:
`scripts/test -m slow tests/recipes/test_precision_of_recipes.py`.
"""

import json
from statistics import mean

import pytest
import torch
from digit_reader import draw, probabilities, train

pytestmark = pytest.mark.slow

SEEDS = (0, 1, 2)


def measured(tmp_path, figure, *overrides):
    """Figures of all seeds in float32 and in bf16."""
    found, quiet = {}, ["logger.tensorboard=false"]
    for precision in ("fp32", "bf16"):
        folders = [tmp_path / f"{precision}-{seed}" for seed in SEEDS]
        found[precision] = [
            figure(folder, train(folder, *overrides, *quiet, f"seed={seed}", f"device.precision={precision}"))
            for folder, seed in zip(folders, SEEDS, strict=True)
        ]
    print(json.dumps(found))
    return found


def assert_alike(found):
    """The means differ by no more than seeds do in float32."""
    assert abs(mean(found["bf16"]) - mean(found["fp32"])) <= max(found["fp32"]) - min(found["fp32"])


def test_likelihood_of_the_vae(tmp_path, data_dir):
    assert_alike(measured(tmp_path, lambda _, final: final["validation/elbo"], "model=vae", "dataset=mnist"))


def test_agreement_of_the_conditional_gan(tmp_path, data_dir, reader):
    def agreement(folder, _):
        x, labels = draw(folder)
        return (probabilities(reader, x).argmax(1) == labels).to(torch.float32).mean().item()

    assert_alike(measured(tmp_path, agreement, "model=cgan", "dataset=mnist", "trainer.max_steps=3000"))
