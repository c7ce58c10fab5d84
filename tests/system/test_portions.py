"""Memory goes by bytes: batches, budgets, and networks that compute in portions."""

import pytest
import torch
from torch import nn

from genlab.system.memory import budget, problem_of_size, size_of
from genlab.system.portions import Portions, _AliveBytes, over_rows, rows_at_once


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2GiB", 2**31),
        ("512 MiB", 2**29),
        ("1.5g", 3 * 2**29),
        ("500MB", 5 * 10**8),
        ("268435456", 2**28),
        ("1e9", 10**9),
    ]
    + [(text, None) for text in ("", "lots", "2 gigs", "-1GiB", "1GiB2", "inf", "nan", "1e999")],
)
def test_sizes_are_read(text, size):
    assert size_of(text) == size


@pytest.mark.parametrize(("text", "fits"), [("1MiB", True), (2**20, True), ("1KiB", False), (True, False), (0, False)])
def test_a_budget_is_large_enough_for_something(text, fits):
    assert (problem_of_size(text) is None) is fits


def test_the_default_budget_is_a_share_of_a_gpu_and_little_on_a_cpu():
    assert budget("1GiB", 2**37) == 2**30 and budget(None, 2**37) == 2**32 and budget(None) == 2**25


@pytest.mark.parametrize(
    ("shapes", "rows"),
    [
        ([(1, 28, 28)], 256),
        ([(2,)], 256),
        ([(3, 64, 64)], 256),
        ([(3, 128, 128)], 85),
        ([(3, 256, 256)], 21),
        ([(1, 128, 128), (3, 256, 256)], 21),
        ([(3, 4096, 4096)], 1),
    ],
)
def test_a_batch_holds_as_many_examples_as_fit_into_its_bytes(shapes, rows):
    assert rows_at_once(*shapes) == rows and rows_at_once(*shapes, most=3) == min(rows, 3)


def test_a_function_of_rows_sees_few_of_large_ones():
    seen = []

    def summed(x, y):
        seen.append(len(x))
        return (x + y).flatten(1).sum(1)

    x = torch.rand(10, 3, 64, 64)
    assert torch.equal(over_rows(summed, x, x, copies=100), (2 * x).flatten(1).sum(1)) and seen == [3, 3, 3, 1]


class Model(nn.Module):
    """A network in a container, which counts the rows of its calls."""

    def __init__(self, network):
        super().__init__()
        self.networks = nn.ModuleDict({"one": network})
        self.calls = []
        network.register_forward_pre_hook(lambda _, arguments: self.calls.append(len(arguments[0])))

    def forward(self, *arguments, **named):
        self.calls.clear()
        return self.networks["one"](*arguments, **named)


CONV = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 256, 5))
ROW = 2 * 8 * 16 * 16 * 4
"""Bytes of a row in the network above: of two feature maps that are alive at once."""


@pytest.mark.parametrize(("room", "calls"), [(50, [20]), (7.5, [7, 7, 6]), (1.5, [1] * 20), (0.1, [1] * 20)])
@torch.no_grad()
def test_a_network_computes_as_many_rows_as_the_budget_allows(room, calls):
    model, x = Model(CONV).eval(), torch.rand(20, 3, 16, 16)
    whole = model(x)
    portions = Portions(model, int(room * ROW))
    with portions.applied():
        model(x)
        torch.testing.assert_close(model(x), whole)  # its bytes are known by now
    assert model.calls == calls
    assert torch.equal(model(x), whole) and model.calls == [20], "nothing stays behind"


@torch.no_grad()
def test_bytes_are_counted_while_they_are_alive():
    x = torch.rand(1, 3, 16, 16)
    CONV.eval()
    with _AliveBytes() as counted:
        for _ in range(3):
            y = CONV(x)
    assert counted.peak == ROW + 5 * 4 and counted.alive == y.nbytes


@torch.no_grad()
def test_a_rehearsal_computes_one_portion_and_gives_the_shape_of_all():
    model, x = Model(CONV).eval(), torch.rand(20, 3, 16, 16)
    portions = Portions(model, 7 * ROW)
    with portions.applied():
        whole = model(x)
    with portions.applied(rehearsing=True):
        assert torch.equal(model(x)[:7], whole[:7]) and model(x).shape == whole.shape and model.calls == [7]


class Noisy(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x)


class TellsRowsApart(nn.Module):
    """As a layer for minibatch discrimination."""

    def forward(self, x):
        return torch.cat([x, (x - x.mean(0)).abs().mean().expand(len(x), 1)], 1)


class Two(nn.Module):
    def forward(self, x):
        return x, x


class NeedsThree(nn.Module):
    def forward(self, x):
        assert len(x) > 2
        return x


class OneNumber(nn.Module):
    """As a module of a loss."""

    def forward(self, x):
        return x.mean()


class Nothing(nn.Module):
    def forward(self, x):
        return x[:, :0]


MIXING = [nn.GRU(4, 4), nn.MultiheadAttention(4, 1), TellsRowsApart(), Noisy(), Two()]
MIXING += [NeedsThree(), OneNumber(), Nothing()]


@pytest.mark.parametrize("network", MIXING, ids=lambda network: type(network).__name__)
@torch.no_grad()
def test_a_network_whose_rows_are_not_independent_computes_them_at_once(network):
    model, x = Model(network).eval(), torch.randn(20, 4)
    arguments = (x, x, x) if isinstance(network, nn.MultiheadAttention) else (x,)
    torch.manual_seed(0)
    whole = model(*arguments)
    torch.manual_seed(0)
    with Portions(model, 1).applied():
        found = model(*arguments)
    assert model.calls[-1] == 20
    found, whole = ([value] if isinstance(value, torch.Tensor) else [*value] for value in (found, whole))
    assert all(torch.equal(*pair) for pair in zip(found, whole, strict=True) if pair[0] is not None), "also of noise"


class Conditioned(nn.Module):
    def forward(self, x, time, *, label, weights):
        return x * time + label[:, None] * weights


@torch.no_grad()
def test_all_rows_are_cut_and_what_is_no_row_is_not():
    model = Model(Conditioned()).eval()
    x, time, label, weights = torch.rand(20, 4), torch.rand(20, 1), torch.arange(20), torch.rand(4)
    whole = model(x, time, label=label, weights=weights)
    with Portions(model, 3 * 2 * 4 * 4).applied():
        assert torch.equal(model(x, time, label=label, weights=weights), whole)
    assert max(model.calls[2:]) <= 6


def test_training_is_not_touched():
    model, x = Model(CONV), torch.rand(20, 3, 16, 16)
    with Portions(model, 1).applied():
        model.eval()(x)
        assert model.calls == [20], "with gradients"
        with torch.no_grad():
            model.train()(x)
        assert model.calls == [20], "batch normalization in training"


@torch.no_grad()
def test_blocks_can_be_nested_and_the_inner_one_changes_nothing():
    model, x = Model(CONV).eval(), torch.rand(20, 3, 16, 16)
    with Portions(model, 7 * ROW).applied():
        with Portions(model, ROW).applied():
            model(x)
        assert max(model.calls) == 7
        model(x)
        assert max(model.calls) == 7
