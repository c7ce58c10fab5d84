"""A batch is one thing: neither micro-batches nor processes change what a step does."""

import lab
import pytest
import torch

STEPS = 4
SETTINGS = ["trainer.batch_size=64", "trainer.ema=0.9", "trainer.clip=50", "trainer.log_every=2"]


def outcome(trainer) -> dict:
    lab.run_steps(trainer, STEPS)
    row = trainer.log_row()
    row = {name: torch.tensor(value, dtype=torch.float64) for name, value in row.items()}
    validation = {name: torch.tensor(value, dtype=torch.float64) for name, value in trainer.validate().items()}
    averages = trainer.ema.state_dict() if trainer.ema else {}
    return {"model": trainer.model.state_dict(), "ema": averages, "row": row, "validation": validation}


def assert_same(one: dict, other: dict) -> None:
    for part in one:
        lab.assert_close(one[part], other[part], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("model", lab.MODELS)
def test_one_batch_equals_four_micro_batches(model, float64):
    whole = lab.trainer(lab.compose(model, *SETTINGS), independent_rows=True)
    parts = lab.trainer(lab.compose(model, *SETTINGS, "device.micro_batch=16"), independent_rows=True)
    start = lab.snapshot(whole.model.state_dict())
    assert (whole.rounds, parts.rounds) == (1, 4)
    one, other = outcome(whole), outcome(parts)
    assert_same(one, other)
    for player, module in whole.model.players().items():
        named = {id(p): name for name, p in whole.model.named_parameters()}
        mine = {named[id(p)] for p in module.parameters()}
        assert mine & lab.moved(start, one["model"]), f"{player} did not move, so nothing was compared"


def train_a_rank(rank: int, folder: str) -> None:
    torch.set_default_dtype(torch.float64)
    for model in lab.MODELS:
        trainer = lab.trainer(lab.compose(model, *SETTINGS), rank=rank, world=2, independent_rows=True)
        assert trainer.train.world == 2
        torch.save(outcome(trainer), f"{folder}/{model}-{rank}.pt")


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What two processes made of every model: one start of the processes for all models."""
    folder = tmp_path_factory.mktemp("ranks")
    lab.two_processes(train_a_rank, str(folder))
    return folder


@pytest.mark.parametrize("model", lab.MODELS)
def test_two_processes_equal_one(model, ranks, float64):
    first, second = (torch.load(ranks / f"{model}-{rank}.pt") for rank in range(2))
    assert not list(lab.differences(first["model"], second["model"])), "the processes drifted apart"
    assert_same(outcome(lab.trainer(lab.compose(model, *SETTINGS), independent_rows=True)), first)
