"""The reference workloads are what they claim to be: the layers are written out here and counted by hand."""

from itertools import pairwise

import lab
import pytest

from genlab.config.build import build_on_meta, build_source
from genlab.config.compose import compose_job, register


def linear(*widths):
    return sum(width * next_width + next_width for width, next_width in pairwise(widths))


def convolutions(kernel, *widths, bias=True):
    """Of `kernel` x `kernel`, transposed or not, from width to width."""
    return sum(kernel**2 * width * next_width + bias * next_width for width, next_width in pairwise(widths))


def batch_norm(*widths):
    return 2 * sum(widths)


RESNET = (
    convolutions(7, 3, 64)
    + convolutions(3, 64, 128, 256)
    + 6 * convolutions(3, 256, 256, 256)
    + convolutions(3, 256, 128, 64)
    + convolutions(7, 64, 3)
)
PATCHES = convolutions(4, 3, 64, 128, 256, 512, 1)
CYCLEGAN = {"generators": 2 * RESNET, "discriminators": 2 * PATCHES}

PARAMETERS = {
    "bench-vae-mlp": {"model": linear(784, 400, 2 * 20) + linear(20, 400, 784)},
    "bench-vae-burgess": {
        "model": convolutions(4, 1, 32, 32, 32)
        + linear(32 * 4 * 4, 256, 256, 2 * 10)
        + linear(10, 256, 256, 32 * 4 * 4)
        + convolutions(4, 32, 32, 32, 1)
    },
    "bench-cgan-mlp": {
        "generator": linear(100 + 10, 128, 256, 512, 1024, 32 * 32) + batch_norm(256, 512, 1024),
        "discriminator": linear(32 * 32 + 10, 512, 512, 512, 1),
    },
    "bench-dcgan-32": {
        "generator": linear(100, 128 * 8 * 8) + convolutions(3, 128, 128, 64, 1) + batch_norm(128, 128, 64),
        "discriminator": convolutions(3, 1, 16, 32, 64, 128) + batch_norm(32, 64, 128) + linear(128 * 2 * 2, 1),
    },
    "bench-dcgan-64": {
        "generator": convolutions(4, 100, 512, 256, 128, 64, 1, bias=False) + batch_norm(512, 256, 128, 64),
        "discriminator": convolutions(4, 1, 64, 128, 256, 512, 1, bias=False) + batch_norm(128, 256, 512),
    },
    "bench-cyclegan-64": CYCLEGAN,
    "bench-cyclegan-128": CYCLEGAN,
}

IMAGES = {
    "bench-vae-mlp": (128, (1, 28, 28)),
    "bench-vae-burgess": (64, (1, 32, 32)),
    "bench-cgan-mlp": (64, (1, 32, 32)),
    "bench-dcgan-32": (64, (1, 32, 32)),
    "bench-dcgan-64": (64, (1, 64, 64)),
    "bench-cyclegan-64": (1, (3, 64, 64)),
    "bench-cyclegan-128": (1, (3, 128, 128)),
}
"""Batch size and shape of an image."""


@pytest.mark.parametrize("experiment", PARAMETERS)
def test_networks_images_batches_and_rates_are_those_of_the_plain_workload(experiment):
    register()
    config = compose_job([f"experiment={experiment}", *lab.QUIET]).config
    source = build_source(config.dataset)
    players = build_on_meta(config, source.spec).players()
    counted = {name: sum(p.numel() for p in player.parameters()) for name, player in players.items()}
    assert counted == PARAMETERS[experiment]
    assert (config.trainer.batch_size, source.spec.shape) == IMAGES[experiment]
    lr, momentum = (1e-3, 0.9) if "vae" in experiment else (2e-4, 0.5)
    optimizer = config.optimizer
    assert (optimizer["_target_"], optimizer["lr"]) == ("torch.optim.Adam", lr)
    assert (optimizer["betas"], optimizer["eps"], optimizer["weight_decay"]) == ([momentum, 0.999], 1e-8, 0)
    assert all(settings["lr"] == lr for settings in optimizer["players"].values())
    assert config.schedule["_target_"].endswith("Constant")
    assert config.trainer.ema is config.trainer.validate_every is config.trainer.clip is None
