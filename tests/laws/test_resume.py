"""A run that was stopped and resumed is the run that never stopped, to the bit."""

import json
import shutil

import lab
import pytest

from genlab.training import checkpoint

STEPS = 9
SETTINGS = [
    "trainer.batch_size=32",
    f"trainer.max_steps={STEPS}",
    "trainer.log_every=3",
    "trainer.validate_every=4",
    "trainer.clip=10",
]


def fresh(config, folder):
    source = lab.RandomPictures(lab.requirements(config))
    return lab.with_files(lab.trainer(config, source), config, source.spec, folder)


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("ema", ["null", "0.99"])
@pytest.mark.parametrize("model", lab.MODELS)
def test_resumed_equals_never_stopped(model, ema, tmp_path):
    config = lab.compose(model, *SETTINGS, f"trainer.ema={ema}")
    whole = fresh(config, tmp_path / "whole")
    whole.fit()
    expected = rows(tmp_path / "whole")
    assert [row["step"] for row in expected if "epoch" in row] == [3, 6, 9]

    for stop in (4, 6):  # in the middle of a row of metrics, behind a validation; and at the end of a row
        folder = tmp_path / f"resumed-{stop}"
        shutil.copytree(tmp_path / "whole", folder)
        state = checkpoint.load(folder / f"checkpoints/step_{stop:07d}.pt")
        assert state["step"] == stop
        resumed = fresh(config, folder)
        resumed.load_state_dict(state)
        resumed.fit()
        assert not list(lab.differences(whole.state_dict(), resumed.state_dict()))
        assert rows(folder) == expected


@pytest.mark.parametrize("model", lab.MODELS)
def test_a_run_that_is_made_longer_is_the_one_that_was_so_long_from_the_start(model, tmp_path):
    """It ended where it was due for nothing, neither for a row nor for a validation, and measured all the same."""
    constant = [*SETTINGS, "schedule=constant"]  # others stretch over the length of a run
    long = fresh(lab.compose(model, *constant), tmp_path / "long")
    long.fit()
    short = fresh(lab.compose(model, *constant, "trainer.max_steps=5"), tmp_path / "short")
    short.fit()
    assert [row["step"] for row in rows(tmp_path / "short")] == [3, 4, 5, 5]
    longer = fresh(lab.compose(model, *constant), tmp_path / "short")
    longer.load_state_dict(checkpoint.load(tmp_path / "short/checkpoints/last.pt"))
    longer.fit()
    assert not list(lab.differences(long.state_dict(), longer.state_dict()))
    assert rows(tmp_path / "short") == rows(tmp_path / "long")


@pytest.mark.parametrize("model", lab.MODELS)
def test_saving_and_validating_do_not_touch_training(model, tmp_path):
    config = lab.compose(model, *SETTINGS, "trainer.ema=0.9")
    observed = fresh(config, tmp_path)
    observed.fit()
    alone = lab.trainer(config)
    lab.run_steps(alone, STEPS)
    assert not list(lab.differences(alone.model.state_dict(), observed.model.state_dict()))
