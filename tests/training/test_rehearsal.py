"""A run that cannot validate fails at its start, and not after a thousand steps."""

import json

import lab
import pytest
import torch
from representatives import REPRESENTATIVE_CASES

from genlab.checkpoints.folder import RunFolder
from genlab.models.vae import VAE
from genlab.runs.processes import RunFailed
from genlab.runs.train import train
from genlab.training.inference import rehearse, validate

QUICK = ["trainer.max_steps=3", "trainer.batch_size=8"]


@pytest.fixture
def fails(tmp_path):
    """Train a small model that must fail before its first step; returns why."""

    def run(case, *settings):
        config, folder = lab.compose(case, *lab.small_data(), *QUICK, *settings), RunFolder(tmp_path / "run")
        with pytest.raises(RunFailed) as failure:
            train(config, folder)
        status = json.loads(folder.status.read_text())
        assert (status["status"], status["step"], status["reason"]) == ("failed", 0, failure.value.reason)
        assert not folder.metrics.exists() or not folder.metrics.read_text()
        assert "\n" not in failure.value.reason
        return failure.value.reason

    return run


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (IndexError("index 3 is\nout of range"), ["IndexError: index 3 is out of range"]),
        (MemoryError("too much"), ["MemoryError", "device.memory_budget=16MiB", "smaller images"]),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), ["device.memory_budget=16MiB"]),
        (ValueError("x.png: is damaged"), ["fails: x.png: is damaged"]),
    ],
)
def test_a_validation_that_fails_ends_the_run_before_its_first_step(error, told, fails, monkeypatch):
    def broken(model, batch):
        raise error

    monkeypatch.setattr(VAE, "evaluate", broken)
    reason = fails("vae", "trainer.validate_every=2")
    assert "rehearsed" in reason and all(words in reason for words in told)


def test_a_metric_that_is_no_scalar_is_found(fails, monkeypatch):
    monkeypatch.setattr(VAE, "evaluate", lambda model, batch: {"mse": batch["x"]})
    assert "rehearsed" in fails("vae", "trainer.validate_every=null")


@pytest.mark.parametrize(
    ("case", "setting"),
    [
        ("cyclegan", "trainer.early_stop_metric=paired_error"),
        ("cyclegan", "trainer.best_metric=validation/paired_error/a"),
    ],
)
def test_a_metric_that_the_data_do_not_give_is_found(case, setting, fails, monkeypatch):
    monkeypatch.setattr("genlab.data.loading.Loader._with_counterparts", lambda loader, batch: batch)
    monkeypatch.setattr(
        "genlab.models.cyclegan.CycleGAN.evaluate", lambda model, batch: {"cycle_error": torch.ones(())}
    )
    reason = fails(case, setting)
    assert setting in reason and "cycle_error" in reason


@pytest.mark.representative
@pytest.mark.parametrize("case", REPRESENTATIVE_CASES)
def test_a_rehearsal_names_the_metrics_of_a_validation_and_changes_nothing(case):
    trainer = lab.trainer(lab.compose(case, "trainer.batch_size=8", "trainer.ema=0.9"))
    before, drawn = {k: v.clone() for k, v in trainer.model.state_dict().items()}, torch.get_rng_state()
    assert rehearse(trainer) == list(validate(trainer))
    torch.set_rng_state(drawn)
    rehearse(trainer)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(value, before[name]) for name, value in trainer.model.state_dict().items())
