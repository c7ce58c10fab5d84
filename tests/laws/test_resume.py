"""A run that was stopped and resumed is the run that never stopped, to the bit."""

import json
import shutil
from functools import cache
from pathlib import Path

import lab
import pytest
import torch
from representatives import REPRESENTATIVE_CASES

from genlab.callbacks.previews import Previews
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
STOPS = (4, 6)
"""In the middle of a row of metrics, after a validation; and at the end of a row."""


def fresh(config, folder):
    source = lab.examples(config)
    return lab.with_files(lab.trainer(config, source), config, source.spec, folder)


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that never stopped, made once for all laws of this file: config, trainer and folder."""

    @cache
    def make(case, ema):
        folder = tmp_path_factory.mktemp(case)
        config = lab.compose(case, *SETTINGS, f"trainer.ema={ema}")
        trainer = fresh(config, folder)
        trainer.fit()
        return config, trainer, folder

    return make


def check_resumed(run, stop, tmp_path):
    config, trainer, folder = run
    expected = rows(folder)
    assert [row["step"] for row in expected if "epoch" in row] == [3, 6, 9]
    shutil.copytree(folder, tmp_path / "resumed")
    state = checkpoint.load(folder / f"checkpoints/step_{stop:07d}.safetensors")
    assert state["step"] == stop
    resumed = fresh(config, tmp_path / "resumed")
    load_state_dict(resumed, state)
    resumed.fit()
    assert not list(lab.differences(state_dict(trainer), state_dict(resumed)))
    assert rows(tmp_path / "resumed") == expected


@pytest.mark.parametrize("case", lab.CASES)
def test_resumed_equals_never_stopped(case, whole, tmp_path):
    check_resumed(whole(case, "0.99"), STOPS[0], tmp_path)


@pytest.mark.representative
@pytest.mark.parametrize("ema, stop", [("0.99", STOPS[1]), ("null", STOPS[0])])
@pytest.mark.parametrize("case", REPRESENTATIVE_CASES)
def test_resumed_anywhere_equals_never_stopped(case, ema, stop, whole, tmp_path):
    check_resumed(whole(case, ema), stop, tmp_path)


@pytest.mark.parametrize("case", lab.CASES)
def test_saving_and_validating_do_not_touch_training(case, whole):
    config, observed, _ = whole(case, "0.99")
    alone = lab.trainer(config)
    lab.run_steps(alone, STEPS)
    assert not list(lab.differences(alone.model.state_dict(), observed.model.state_dict()))


@pytest.mark.representative
@pytest.mark.parametrize("case", REPRESENTATIVE_CASES)
def test_previews_do_not_touch_training(case, tmp_path):
    config = lab.compose(case, *SETTINGS, "trainer.ema=0.99")
    shown, alone = lab.trainer(config), lab.trainer(config)
    shown.events.callbacks = [Previews(tmp_path, 4)]
    shown.fit()
    lab.run_steps(alone, STEPS)
    assert {path.name[:12] for path in tmp_path.iterdir()} == {f"step_{step:07d}" for step in (1, 4, 8, STEPS)}
    assert not list(lab.differences(alone.model.state_dict(), shown.model.state_dict()))


@pytest.mark.representative
@pytest.mark.parametrize("case", REPRESENTATIVE_CASES)
def test_a_run_that_is_made_longer_is_the_one_that_was_so_long_from_the_start(case, tmp_path):
    """It ended where it was due for nothing, neither for a row nor for a validation, and measured all the same."""
    constant = [*SETTINGS, "schedule=constant"]  # others stretch over the length of a run
    long = fresh(lab.compose(case, *constant), tmp_path / "long")
    long.fit()
    short = fresh(lab.compose(case, *constant, "trainer.max_steps=5"), tmp_path / "short")
    short.fit()
    assert [row["step"] for row in rows(tmp_path / "short")] == [3, 4, 5, 5]
    longer = fresh(lab.compose(case, *constant), tmp_path / "short")
    load_state_dict(longer, checkpoint.load(tmp_path / "short/checkpoints/last.safetensors"))
    longer.fit()
    assert not list(lab.differences(state_dict(long), state_dict(longer)))
    assert rows(tmp_path / "short") == rows(tmp_path / "long")


def stop_and_go_on(rank: int, folder: Path, cases: list[str]) -> None:
    """One of two processes: each case trained to the end, and again from a checkpoint in the middle of a row."""
    for case in cases:
        config = lab.compose(case, *SETTINGS, "trainer.ema=0.99")

        def begin(place: Path, stop: int | None = None, config=config) -> dict:
            source = lab.examples(config)
            trainer = lab.trainer(config, source, rank=rank, world=2)
            trainer = lab.with_files(trainer, config, source.spec, place)
            if stop:
                load_state_dict(trainer, checkpoint.load(place / f"checkpoints/step_{stop:07d}.safetensors"))
            trainer.fit()
            return state_dict(trainer)

        ends = [begin(folder / case / "whole")]
        place = folder / case / "resumed"
        if rank == 0:
            shutil.copytree(folder / case / "whole", place)
        distributed.barrier()
        ends.append(begin(place, STOPS[0]))
        torch.save(ends, folder / f"{case}-{rank}.pt")


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Runs of two processes, one start of these for all cases."""
    folder = tmp_path_factory.mktemp("two")
    lab.two_processes(stop_and_go_on, folder, REPRESENTATIVE_CASES)
    return folder


@pytest.mark.representative
@pytest.mark.parametrize("case", REPRESENTATIVE_CASES)
def test_two_processes_resumed_equal_two_never_stopped(case, two):
    """In the middle of a row, of which each process had made a part."""
    expected = rows(two / case / "whole")
    for rank in range(2):
        whole, resumed = torch.load(two / f"{case}-{rank}.pt")
        assert not list(lab.differences(whole, resumed))
    assert rows(two / case / "resumed") == expected


@pytest.mark.representative
@pytest.mark.parametrize("case", REPRESENTATIVE_CASES)
def test_one_process_goes_on_with_the_unfinished_row_of_two(case, two):
    """To rounding: the row is the mean over steps that two made and steps that one made. Without dropout, of which
    each process draws its own."""
    config = lab.compose(case, *SETTINGS, "trainer.ema=0.99")
    state = checkpoint.load(two / case / "whole/checkpoints/step_0000005.safetensors")
    assert all(len(entry) == 3 for entry in state["metric_window"].values())
    resumed = lab.trainer(config)
    if lab.dropout_of(resumed.model):
        return
    load_state_dict(resumed, {**state, "callbacks": {}})
    resumed.model.train()
    resumed.train_step(next(resumed.train_loader.batches(resumed.settings.batch_size, resumed.step)))
    (expected,) = (row for row in rows(two / case / "whole") if row["step"] == 6 and "epoch" in row)
    assert resumed.log_row() == pytest.approx(expected, rel=1e-4)
