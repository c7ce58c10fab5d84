"""Several processes: one goes first, all wait for each other, and all decide alike."""

import math
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import lab
import pytest
import torch

from genlab.callbacks.validation import Validation
from genlab.callbacks.watch import Watch
from genlab.config.schema import WatchConfig
from genlab.training import distributed, run
from genlab.training.scalars import TrainingDiverged

SETTINGS = ["trainer.batch_size=8", "trainer.max_steps=6", "trainer.log_every=2", "watch.action=rollback"]
SETTINGS += ["watch.warmup=1000", "watch.gradient_factor=1e9", "watch.accuracy_bound=1"]


def adversarial():
    """A config of a model that is watched."""
    composed = (lab.compose(name, *SETTINGS) for name in lab.MODELS)
    return next(config for config in composed if len(lab.trainer(config).model.players()) > 1)


def test_alone_there_is_nobody_to_wait_for():
    distributed.barrier()
    with distributed.first_process_first():
        assert distributed.rank() == 0


def test_processes_wait_for_one_that_evaluates_longer_than_the_defaults_allow(monkeypatch, tmp_path):
    monkeypatch.setenv("RANK", "0")
    with mock.patch.object(run.dist, "init_process_group") as init, mock.patch.object(run, "_train"):
        run.train({"device": {"processes": 1}}, tmp_path)
    assert init.call_args.kwargs["timeout"].total_seconds() >= 2 * 3600


def go_in_turn(rank: int, folder: Path) -> bool:
    """Whether this process found what the first one left, or was the first."""
    with distributed.first_process_first():
        found = (folder / "cache").is_file()
        if rank == 0:
            time.sleep(0.3)
            (folder / "cache").touch()
    return found or rank == 0


def find_no_checkpoint(rank: int, folder: Path, watch: Watch) -> str:
    """Why a run stops that has nothing to go back to, where process 1 looks late and process 0 saves at once."""
    trainer = SimpleNamespace(step=1, earlier=None, stop_reason=None, emit=lambda *_: None)
    look = Path.is_file

    def late(path: Path) -> bool:
        time.sleep(0.3 * rank)
        return look(path)

    with mock.patch.object(Path, "is_file", late):
        watch.diverged(trainer, TrainingDiverged("loss"))
    if rank == 0:
        (folder / "last.pt").write_bytes(b"of a later step")
    return trainer.stop_reason


def fall_and_go_back(rank: int, folder: Path, config) -> dict:
    """Where a run ends in which a loss of process 1 alone becomes NaN in step 3."""
    trainer = lab.trainer(config, rank=rank, world=2, independent_rows=True)
    if rank == 0:
        trainer = lab.with_files(trainer, config, trainer.model.data, folder)
    else:
        trainer.callbacks = [Validation(trainer.settings.validate_every)]
    trainer.callbacks.insert(0, Watch(WatchConfig(**config.watch), folder / "checkpoints"))
    honest, spoils = trainer.model.training_step, [math.nan] * rank

    def training_step(batch, step):
        factor = spoils.pop() if step == 2 and spoils else 1.0
        for update in honest(batch, step):
            yield replace(update, loss=update.loss * factor)

    trainer.model.training_step = training_step
    trainer.fit()
    state = {name: trainer.state_dict()[name] for name in ("step", "seed", "rate_factor", "model")}
    return state | {"rollbacks": trainer.callbacks[0].rollbacks}


def live(rank: int, folder: Path, config) -> None:
    """One of two processes, which writes down what it saw."""
    seen = {
        "turn": go_in_turn(rank, folder),
        "reason": find_no_checkpoint(rank, folder, Watch(WatchConfig(**config.watch), folder)),
        "end": fall_and_go_back(rank, folder / "run", config),
    }
    torch.save(seen, folder / f"seen-{rank}.pt")


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What two processes saw, in order of rank."""
    folder = tmp_path_factory.mktemp("ranks")
    lab.two_processes(live, folder, adversarial())
    return [torch.load(folder / f"seen-{rank}.pt") for rank in range(2)]


def test_the_second_process_finds_what_the_first_one_left(seen):
    assert all(process["turn"] for process in seen)


def test_none_writes_a_checkpoint_before_all_have_looked_for_one(seen):
    reasons = {process["reason"] for process in seen}
    assert len(reasons) == 1 and "no checkpoint to go back to" in reasons.pop()


def test_all_go_back_where_a_loss_of_one_is_nan(seen):
    first, second = (process["end"] for process in seen)
    assert (first["step"], first["rate_factor"], first["rollbacks"]) == (6, 0.5, 1)
    assert not list(lab.differences(first, second)), "the processes drifted apart"
