"""A run that was stopped and resumed is the run that never stopped, to the bit."""

import json
import shutil
from pathlib import Path

import lab
import pytest
import torch

from genlab.checkpoints import file as checkpoint
from genlab.system import distributed
from genlab.training.state import load_state_dict, state_dict

STEPS = 9
SETTINGS = [
    "trainer.batch_size=32",
    f"trainer.max_steps={STEPS}",
    "trainer.log_every=3",
    "trainer.validate_every=4",
    "trainer.clip=10",
]


def fresh(config, folder):
    source = lab.RandomImages(lab.requirements(config))
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

    for stop in (4, 6):  # in the middle of a row of metrics, after a validation; and at the end of a row
        folder = tmp_path / f"resumed-{stop}"
        shutil.copytree(tmp_path / "whole", folder)
        state = checkpoint.load(folder / f"checkpoints/step_{stop:07d}.pt")
        assert state["step"] == stop
        resumed = fresh(config, folder)
        load_state_dict(resumed, state)
        resumed.fit()
        assert not list(lab.differences(state_dict(whole), state_dict(resumed)))
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
    load_state_dict(longer, checkpoint.load(tmp_path / "short/checkpoints/last.pt"))
    longer.fit()
    assert not list(lab.differences(state_dict(long), state_dict(longer)))
    assert rows(tmp_path / "short") == rows(tmp_path / "long")


@pytest.mark.parametrize("model", lab.MODELS)
def test_saving_and_validating_do_not_touch_training(model, tmp_path):
    config = lab.compose(model, *SETTINGS, "trainer.ema=0.9")
    observed = fresh(config, tmp_path)
    observed.fit()
    alone = lab.trainer(config)
    lab.run_steps(alone, STEPS)
    assert not list(lab.differences(alone.model.state_dict(), observed.model.state_dict()))


def stop_and_go_on(rank: int, folder: Path, models: list[str]) -> None:
    """One of two processes: each model trained to the end, and again from two of its checkpoints."""
    for model in models:
        config = lab.compose(model, *SETTINGS, "trainer.ema=0.99")

        def begin(place: Path, stop: int | None = None, config=config) -> dict:
            source = lab.RandomImages(lab.requirements(config))
            trainer = lab.trainer(config, source, rank=rank, world=2)
            trainer = lab.with_files(trainer, config, source.spec, place)
            if stop:
                load_state_dict(trainer, checkpoint.load(place / f"checkpoints/step_{stop:07d}.pt"))
            trainer.fit()
            return state_dict(trainer)

        ends = [begin(folder / model / "whole")]
        for stop in STOPS:
            place = folder / model / f"resumed-{stop}"
            if rank == 0:
                shutil.copytree(folder / model / "whole", place)
            distributed.barrier()
            ends.append(begin(place, stop))
        torch.save(ends, folder / f"{model}-{rank}.pt")


STOPS = (4, 6)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Runs of two processes, one start of these for all models."""
    folder = tmp_path_factory.mktemp("two")
    lab.two_processes(stop_and_go_on, folder, lab.MODELS)
    return folder


@pytest.mark.parametrize("model", lab.MODELS)
def test_two_processes_resumed_equal_two_never_stopped(model, two):
    """In the middle of a row as well, of which each process had made a part."""
    expected = rows(two / model / "whole")
    for rank in range(2):
        whole, *resumed = torch.load(two / f"{model}-{rank}.pt")
        for end in resumed:
            assert not list(lab.differences(whole, end))
    for stop in STOPS:
        assert rows(two / model / f"resumed-{stop}") == expected


@pytest.mark.parametrize("model", lab.MODELS)
def test_one_process_goes_on_with_the_unfinished_row_of_two(model, two, tmp_path):
    """To rounding: the row is the mean over steps that two made and steps that one made."""
    config = lab.compose(model, *SETTINGS, "trainer.ema=0.99")
    state = checkpoint.load(two / model / "whole/checkpoints/step_0000005.pt")
    assert all(len(entry) == 3 for entry in state["metric_window"].values())
    resumed = fresh(config, tmp_path)
    load_state_dict(resumed, {**state, "callbacks": {}})
    resumed.model.train()
    resumed.train_step(next(resumed.train_loader.batches(resumed.settings.batch_size, resumed.step)))
    (expected,) = (row for row in rows(two / model / "whole") if row["step"] == 6 and "epoch" in row)
    assert resumed.log_row() == pytest.approx(expected, rel=1e-4)
