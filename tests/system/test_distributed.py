"""Several processes: one goes first, all wait for each other, and all decide alike."""

import math
import signal
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import lab
import pytest
import torch
from torch import distributed as dist

from genlab.callbacks.watch import Watch
from genlab.checkpoints import file as checkpoint
from genlab.checkpoints.folder import RunFolder
from genlab.runs import processes
from genlab.system import distributed
from genlab.training.scalars import TrainingDiverged
from genlab.training.state import state_dict

SETTINGS = ["trainer.batch_size=8", "trainer.max_steps=6", "trainer.log_every=2", "watch.action=rollback"]
SETTINGS += ["watch.warmup=1000", "watch.gradient_factor=1e9", "watch.accuracy_bound=1"]


def adversarial():
    """A config of a model that is watched."""
    composed = (lab.compose(name, *SETTINGS) for name in lab.MODELS)
    return next(config for config in composed if len(lab.trainer(config).model.players()) > 1)


def test_processes_wait_longer_for_each_other_than_the_defaults_allow(monkeypatch):
    with (
        mock.patch.object(processes.dist, "rendezvous", return_value=iter([(dist.HashStore(), 0, 1)])),
        mock.patch.object(processes.dist, "init_process_group") as init,
        mock.patch.object(processes.dist, "destroy_process_group"),
        processes._group(),
    ):
        assert init.call_args.kwargs["timeout"].total_seconds() >= 2 * 3600


def go_in_turn(rank: int, folder: Path) -> bool:
    """Whether this process found what the first one left, or was the first."""
    with distributed.first_process_first():
        found = (folder / "cache").is_file()
        if rank == 0:
            time.sleep(0.3)
            (folder / "cache").touch()
    return found or rank == 0


def find_no_checkpoint(rank: int, folder: RunFolder, watch: Watch) -> str | None:
    """Why a run stops that has nothing to go back to, where process 1 looks late and process 0 saves at once."""
    folder.checkpoints.mkdir(exist_ok=True)
    trainer = SimpleNamespace(step=1, rollback_state=None, stop_reason=None, lr_scale=1.0, emit=lambda *_: None)
    trainer.train_loader = SimpleNamespace(seed=0)
    look = Path.exists

    def late(path: Path) -> bool:
        time.sleep(0.3 * rank)
        return look(path)

    with mock.patch.object(Path, "exists", late):
        watch.diverged(trainer, TrainingDiverged("loss"))
    if rank == 0:
        checkpoint.save({"step": 2, "callbacks": {"watch": watch.state_dict()}}, folder.last)
    return trainer.stop_reason


def fall_and_go_back(rank: int, folder: Path, config) -> dict:
    """Where a run ends in which a loss of process 1 alone becomes NaN in step 3."""
    trainer = lab.trainer(config, rank=rank, world=2)
    trainer = lab.with_files(trainer, config, trainer.model.data, folder)
    trainer.events.callbacks.insert(0, Watch(config.watch, RunFolder(folder)))
    honest, spoils = trainer.model.training_step, [math.nan] * rank

    def training_step(batch, step):
        factor = spoils.pop() if step == 2 and spoils else 1.0
        for update in honest(batch, step):
            yield replace(update, loss=update.loss * factor)

    trainer.model.training_step = training_step
    trainer.fit()
    state = {name: state_dict(trainer)[name] for name in ("step", "seed", "lr_scale", "model")}
    return state | {"rollbacks": trainer.events.callbacks[0].rollbacks}


def fail_in_step(rank: int) -> tuple[str, str, int]:
    """What each process is told of a failure of process 1 alone, and a number that they exchange after it."""
    try:
        list(distributed.gather_in_order(1 / (3 - piece) for piece in distributed.shard(range(6))))
    except Exception as error:
        return type(error).__name__, str(error), distributed.largest(rank)
    raise AssertionError


def hand_out(rank: int) -> dict:
    """Pieces that are dealt out and gathered, a number that process 1 alone knows, and what process 0 says."""
    return {
        "gathered": [
            list(distributed.gather_in_order(10 * piece for piece in distributed.shard(range(n)))) for n in range(6)
        ],
        "own": list(distributed.shard(range(5))),
        "largest": distributed.largest(rank),
        "said": distributed.from_first({"by": rank}),
    }


def ask_for_signals(rank: int) -> tuple[int, int, int]:
    """In which short step this process learns of a signal that process 1 gets in step 40, and how often it asked."""
    flag, asked = distributed.StopFlag(), []
    reduce = distributed.dist.all_reduce

    def counted(*arguments, **settings):
        asked.append(arguments)
        return reduce(*arguments, **settings)

    with mock.patch.object(distributed.dist, "all_reduce", counted):
        for step in range(2000):
            time.sleep(0.0005)
            if number := flag(signal.SIGTERM if rank == 1 and step >= 40 else 0):
                flag.settle()
                return step, number, len(asked)
    return 2000, 0, len(asked)


def live(rank: int, folder: Path, config) -> None:
    """One of two processes, which writes down what it saw."""
    seen = {
        "pieces": hand_out(rank),
        "failure": fail_in_step(rank),
        "turn": go_in_turn(rank, folder),
        "reason": find_no_checkpoint(rank, RunFolder(folder), Watch(config.watch, RunFolder(folder))),
        "signal": ask_for_signals(rank),
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


def test_all_stop_at_one_step_and_short_steps_seldom_ask(seen):
    assert seen[0]["signal"] == seen[1]["signal"]
    step, number, asked = seen[0]["signal"]
    assert number == signal.SIGTERM and 40 <= step <= 40 + 2 * distributed._MOST_STEPS
    assert asked < step / 2


def test_all_go_back_where_a_loss_of_one_is_nan(seen):
    first, second = (process["end"] for process in seen)
    assert (first["step"], first["lr_scale"], first["rollbacks"]) == (6, 0.5, 1)
    assert not list(lab.differences(first, second)), "the processes drifted apart"


def test_pieces_are_dealt_out_and_come_back_in_order_to_all(seen):
    assert [process["pieces"]["own"] for process in seen] == [[0, 2, 4], [1, 3]]
    for process in seen:
        assert process["pieces"]["gathered"] == [[10 * piece for piece in range(n)] for n in range(6)]


def test_all_know_the_largest_number_and_what_process_0_says(seen):
    assert [(process["pieces"]["largest"], process["pieces"]["said"]) for process in seen] == [(1, {"by": 0})] * 2


def test_what_fails_in_one_process_is_raised_in_all_and_they_stay_in_step(seen):
    told = [("RuntimeError", "division by zero", 1), ("ZeroDivisionError", "division by zero", 1)]
    assert [process["failure"] for process in seen] == told
