"""Schedules against their formulas, at their corners and in a running trainer."""

import math

import lab
import pytest

from genlab.training.schedule import Constant, LinearDecay, WarmupCosine


@pytest.mark.parametrize("progress, rate", [(0.0, 1), (0.5, 1), (0.75, 0.6), (1.0, 0.2)])
def test_linear_decay(progress, rate):
    assert LinearDecay(decay_start=0.5, final=0.2)(progress) == pytest.approx(rate)


@pytest.mark.parametrize(
    "progress, rate",
    [(0.0, 0), (0.05, 0.5), (0.1, 1), (0.55, 0.55), (1.0, 0.1), (0.325, 0.1 + 0.45 * (1 + math.cos(math.pi / 4)))],
)
def test_warmup_cosine(progress, rate):
    assert WarmupCosine(warmup=0.1, final=0.1)(progress) == pytest.approx(rate)


@pytest.mark.parametrize(
    "schedule",
    [Constant(), *(kind(*share) for kind in (LinearDecay, WarmupCosine) for share in ((0.0,), (1.0,), (0.3, 1.0)))],
)
def test_extremes_stay_between_zero_and_one(schedule):
    assert all(0 <= schedule((step + 0.5) / 100) <= 1 for step in range(100))


@pytest.mark.parametrize("kind, key", [(LinearDecay, "decay_start"), (WarmupCosine, "warmup"), (WarmupCosine, "final")])
@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_refuses_what_is_no_share(kind, key, value):
    with pytest.raises(ValueError, match=rf"schedule\.{key}={value}: must be a fraction"):
        kind(**{key: value})


def test_trainer_multiplies_every_players_own_rate():
    config = lab.compose("vae", "schedule=linear_decay", "optimizer.lr=0.5", "trainer.max_steps=4", "optimizer=sgd")
    trainer = lab.trainer(config)
    seen = []
    trainer.optimization.optimizers["model"].register_step_pre_hook(
        lambda opt, *_: seen.append(opt.param_groups[0]["lr"])
    )
    lab.run_steps(trainer, 4)
    assert seen == pytest.approx([0.5, 0.5, 0.375, 0.125])
