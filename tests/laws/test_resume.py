"""A run that was stopped and resumed is the run that never stopped, to the bit."""

import json

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
        state = checkpoint.load(tmp_path / f"whole/checkpoints/step_{stop:07d}.pt")
        assert state["step"] == stop
        resumed = fresh(config, folder)
        resumed.load_state_dict(state)
        resumed.fit()
        assert not list(lab.differences(whole.state_dict(), resumed.state_dict()))
        assert rows(folder) == [row for row in expected if row["step"] > stop]


@pytest.mark.parametrize("model", lab.MODELS)
def test_saving_and_validating_do_not_touch_training(model, tmp_path):
    config = lab.compose(model, *SETTINGS, "trainer.ema=0.9")
    observed = fresh(config, tmp_path)
    observed.fit()
    alone = lab.trainer(config)
    lab.run_steps(alone, STEPS)
    assert not list(lab.differences(alone.model.state_dict(), observed.model.state_dict()))
