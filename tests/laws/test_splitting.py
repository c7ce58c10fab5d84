"""A batch is one thing: neither micro-batches nor processes change what a step does."""

from itertools import pairwise
from pathlib import Path

import lab
import pytest
import torch
from representatives import REPRESENTATIVE_CASES
from torch import Tensor, nn

from genlab.config.build import build_on_meta
from genlab.training.inference import validate
from genlab.training.trainer import Trainer

STEPS = 3
SETTINGS = ["trainer.batch_size=32", "trainer.ema=0.9", "trainer.clip=50", "trainer.log_every=2"]


def outcome(trainer) -> dict:
    lab.run_steps(trainer, STEPS)
    row = trainer.log_row()
    row = {name: torch.tensor(value, dtype=torch.float64) for name, value in row.items()}
    averages = trainer.ema.state_dict() if trainer.ema else {}
    return {"model": trainer.model.state_dict(), "ema": averages, "row": row}


def assert_same(one: dict, other: dict) -> None:
    for part in one:
        lab.assert_close(one[part], other[part], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("case", [*lab.CASES, *lab.VARIANTS])
def test_one_batch_equals_four_micro_batches(case, float64):
    whole = lab.trainer(lab.compose(case, *SETTINGS), independent_rows=True)
    parts = lab.trainer(lab.compose(case, *SETTINGS, "device.micro_batch=8"), independent_rows=True)
    start = lab.snapshot(whole.model.state_dict())
    assert (whole.optimization.accumulation_steps, parts.optimization.accumulation_steps) == (1, 4)
    one, other = outcome(whole), outcome(parts)
    assert_same(one, other)
    for player, module in whole.model.players().items():
        named = {id(p): name for name, p in whole.model.named_parameters()}
        mine = {named[id(p)] for p in module.parameters()}
        assert mine & lab.moved(start, one["model"]), f"{player} did not move, so nothing was compared"


def variants(case: str) -> list[tuple[str, ...]]:
    """The recipe as it stands, and what else makes an example's output depend on other examples or on earlier steps;
    some of their networks may not serve the data."""
    found: list[tuple[str, ...]] = [()]
    if "spectral" in lab.keys_of(lab.model_of(case)):
        found += [("model.spectral=true",), ("network=dcgan", "model.r1_gamma=0")]
    elif lab.defaults(f"model/{lab.model_of(case)}").get("network") in ("mlp", "conv"):
        found += [("network=upsampling",)]
    return found


def serves(case: str, *overrides: str) -> bool:
    """Whether the networks of a case can be built for data of its kind."""
    config = lab.compose(case, *overrides)
    try:
        build_on_meta(config, lab.examples(config).spec)
    except ValueError:
        return False
    return True


CASES = [(case, *overrides) for case in REPRESENTATIVE_CASES for overrides in variants(case)]

MANY = 520
"""In the validation split: three batches, of which one process measures two."""


def at_work(case: tuple[str, ...], *settings: str, rank: int = 0, world: int = 1) -> Trainer:
    """A trainer of a model with all of its layers but dropout, which processes draw separately."""
    name, *overrides = case
    config = lab.compose(name, *settings, *overrides)
    source = lab.examples(config, validation=MANY)
    trainer = lab.trainer(config, source, rank=rank, world=world)
    lab.without_dropout(trainer.model)
    return trainer


def beginning(trainer) -> dict:
    """What a run is after a few steps, and what it measured before the first."""
    return {"measured": validate(trainer)} | outcome(trainer)


def served() -> list[int]:
    """The cases that there are; composed before processes are forked from this one."""
    return [number for number, case in enumerate(CASES) if serves(*case) and lab.compose(case[0], *SETTINGS, *case[1:])]


def begin_as_a_rank(rank: int, folder: str, numbers: list[int]) -> None:
    torch.set_default_dtype(torch.float64)
    for number in numbers:
        case = CASES[number]
        trainer = at_work(case, *SETTINGS, rank=rank, world=2)
        assert trainer.train_loader.world == 2
        torch.save(beginning(trainer), f"{folder}/{number}-{rank}.pt")


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What two processes made of every case: one start of the processes for all."""
    folder = tmp_path_factory.mktemp("ranks")
    lab.two_processes(begin_as_a_rank, str(folder), served())
    return folder


@pytest.mark.representative
@pytest.mark.parametrize("number", range(len(CASES)), ids=["-".join(case) for case in CASES])
def test_two_processes_equal_one(number, ranks, float64):
    if not Path(f"{ranks}/{number}-0.pt").exists():
        pytest.skip("the network does not serve these data")
    first, second = (torch.load(f"{ranks}/{number}-{rank}.pt") for rank in range(2))
    assert not list(lab.differences(first, second)), "the processes drifted apart"
    alone = beginning(at_work(CASES[number], *SETTINGS))
    assert alone.pop("measured") == first.pop("measured"), "the same weights, to the bit"
    assert_same(alone, first)


LONG = 50
SOME = 4
"""Steps after which models of two domains are still calm in float32: one process in two slices moves as far from one
in one slice as two processes do, by a factor of 10 every two steps."""

TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-6}


def trained(case: tuple[str, ...], dtype: torch.dtype, rank: int = 0, world: int = 1) -> dict[str, Tensor]:
    """The weights after many steps."""
    recipe = lab.compose(case[0])
    restless = "a" in lab.model_class(recipe).requires
    settings = [f"trainer.batch_size={min(16, recipe.trainer.batch_size)}"]
    settings += ["optimizer.lr=1e-5"] if restless else []
    trainer = at_work(case, *settings, rank=rank, world=world)
    hold_what_normalization_hides(trainer.model)
    lab.run_steps(trainer, SOME if restless and dtype == torch.float32 else LONG)
    return {name: value.detach() for name, value in trainer.model.named_parameters()}


def hold_what_normalization_hides(model: nn.Module) -> None:
    """Keep biases where they are that a normalization behind them takes away again: their gradient is 0 but for
    rounding, and Adam makes whole steps of rounding."""
    layers = [layer for layer in model.modules() if not list(layer.children())]
    for layer, behind in pairwise(layers):
        if isinstance(behind, nn.modules.batchnorm._NormBase) and getattr(layer, "bias", None) is not None:
            layer.bias.register_hook(torch.zeros_like)


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Norm of the difference of all weights over their norm."""
    squares = sum((one[name] - other[name]).double().square().sum() for name in one)
    return float((squares / sum(value.double().square().sum() for value in one.values())).sqrt())


LONG_CASES = [(case, torch.float64) for case in CASES] + [((case,), torch.float32) for case in REPRESENTATIVE_CASES]


def train_as_a_rank(rank: int, folder: str) -> None:
    for number, (case, dtype) in enumerate(LONG_CASES):
        if not serves(*case):
            continue
        torch.set_default_dtype(dtype)
        torch.save(trained(case, dtype, rank, 2), f"{folder}/{number}-{rank}.pt")


@pytest.fixture(scope="module")
def long_ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("long")
    lab.two_processes(train_as_a_rank, str(folder))
    return folder


@pytest.mark.slow
@pytest.mark.representative
@pytest.mark.parametrize("number", range(len(LONG_CASES)), ids=["-".join(map(str, (*c, d))) for c, d in LONG_CASES])
def test_two_processes_equal_one_after_many_steps(number, long_ranks):
    case, dtype = LONG_CASES[number]
    if not serves(*case):
        pytest.skip("the network does not serve these data")
    first, second = (torch.load(f"{long_ranks}/{number}-{rank}.pt") for rank in range(2))
    assert not list(lab.differences(first, second)), "the processes drifted apart"
    torch.set_default_dtype(dtype)
    assert distance(trained(case, dtype), first) < TOLERANCES[dtype]
