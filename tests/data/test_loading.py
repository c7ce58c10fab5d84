"""From tables to batches: held or streamed, whole or shared out, the same examples in the same order."""

import gc
import logging
import os
import re
import signal
import sys
import time
from dataclasses import replace
from itertools import chain

import lab
import pytest
import torch

from genlab.contract.data import DataSpec, Field, image_spec
from genlab.contract.settings import LoaderConfig
from genlab.data import loading
from genlab.data.loading import Loader
from genlab.data.source import ArrayExamples, Examples, Source
from genlab.system.signals import Interrupted, Interruption

SETTINGS = LoaderConfig(storage="memory", memory_limit=1.0, workers=0, flip=False, shift=0)
STEPS, BATCH = 12, 10  # 120 draws from 37 examples: several epochs, borders within batches


class Numbered(Source):
    """Images that carry their number, so that a batch tells where it came from."""

    def __init__(self, train=37, validation=300):
        self.spec, self.sizes = image_spec((1, 1, 2), 2), {"train": train, "validation": validation}

    def open(self, split):
        number = torch.arange(self.sizes[split])
        image = torch.stack([number // 256, number % 256], 1).byte().view(-1, 1, 1, 2)
        return [ArrayExamples(x=image, label=number)]


class TwoDomains(Source):
    """Domains of unlike size."""

    def __init__(self):
        self.spec, self.sizes = (
            DataSpec({side: Field("image", (1, 1, 1)) for side in "ab"}),
            {"train": 9, "validation": 9},
        )

    def open(self, split):
        return [
            ArrayExamples(a=torch.arange(9).byte().view(-1, 1, 1, 1)),
            ArrayExamples(b=torch.arange(100, 104).byte().view(-1, 1, 1, 1)),
        ]


def loader(split="train", settings=SETTINGS, source=None, **options):
    return Loader(source or Numbered(), split, settings, seed=4, device=lab.CPU, **options)


def take(loader, steps=STEPS):
    return [batch for _, batch in zip(range(steps), loader.batches(BATCH), strict=False)]


def numbers(batches):
    return torch.cat([batch["label"] for batch in batches])


def test_images_are_floats_in_zero_to_one():
    batches = take(loader(source=Numbered(300)), 30)
    assert batches[0]["x"].dtype == torch.float32 and batches[0]["label"].dtype == torch.int64
    image = torch.cat([batch["x"] for batch in batches])
    assert torch.equal((image[:, 0, 0, 1] * 255).round().long(), numbers(batches) % 256)
    assert image.max() == 1, "255 is white, exactly"


def test_streamed_equals_resident():
    settings = replace(SETTINGS, flip=True, shift=1)
    for workers in (0, 2):
        stream = replace(settings, storage="stream", workers=workers)
        for one, other in zip(take(loader(settings=settings)), take(loader(settings=stream)), strict=True):
            assert not list(lab.differences(one.fields, other.fields))
            assert torch.equal(one.randn(3), other.randn(3))


@pytest.mark.parametrize("world", [2, 5])
def test_shares_of_the_processes_make_the_batch(world):
    settings = replace(SETTINGS, flip=True, shift=1)
    shares = [take(loader(settings=settings, rank=rank, world=world)) for rank in range(world)]
    for step, batch in enumerate(take(loader(settings=settings))):
        parts = [share[step] for share in shares]
        assert all(part.size == BATCH // world and part.total == BATCH for part in parts)
        for name in ("x", "label"):
            assert torch.equal(torch.cat([part[name] for part in parts]), batch[name])
        assert torch.equal(torch.cat([part.randn(4) for part in parts]), batch.randn(4))


def test_in_order_covers_each_once_up_to_the_limit_and_is_not_augmented():
    held = loader("validation", replace(SETTINGS, flip=True, shift=1))
    for limit, expected in ((None, 300), (7, 7), (256, 256), (270, 270), (1000, 300)):
        batches = list(held.in_order(limit))
        assert torch.equal(numbers(batches), torch.arange(expected))
        image = torch.cat([batch["x"] for batch in batches])
        assert torch.equal((image[:, 0, 0, 1] * 255).round(), torch.arange(expected) % 256)
    first, second = ([batch.randn(1) for batch in held.in_order()] for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    assert not torch.equal(first[0][:40], first[1][:40])


def test_domains_have_streams_of_their_own():
    source = TwoDomains()
    batches = take(Loader(source, "train", SETTINGS, seed=0, device=lab.CPU), 18)
    a = torch.cat([(batch["a"] * 255).round().long().flatten() for batch in batches])
    b = torch.cat([(batch["b"] * 255).round().long().flatten() for batch in batches])
    assert torch.bincount(a, minlength=9).tolist() == [20] * 9
    assert torch.bincount(b - 100, minlength=4).tolist() == [45] * 4
    assert len(set(zip(a.tolist(), b.tolist(), strict=True))) == 36, "every pairing comes about"


def test_domains_in_validation():
    """The smaller one starts again; each is spread over its own examples."""
    held = Loader(TwoDomains(), "validation", SETTINGS, seed=0, device=lab.CPU)
    shown = [{name: (batch[name] * 255).round().flatten().tolist() for name in "ab"}
             for batch in (*held.in_order(), held.evenly_spaced(3))]  # fmt: skip
    assert shown[0] == {"a": list(range(9)), "b": [100, 101, 102, 103, 100, 101, 102, 103, 100]}
    assert shown[1] == {"a": [0, 4, 8], "b": [100, 102, 103]}
    assert held.evenly_spaced(9).size == 4


@pytest.mark.parametrize("settings", [SETTINGS, replace(SETTINGS, storage="stream")], ids=["held", "streamed"])
def test_a_spread_comes_from_the_whole_split_without_repeats(settings):
    held = loader("validation", settings)
    assert held.evenly_spaced(4)["label"].tolist() == [0, 100, 199, 299]
    assert held.evenly_spaced(1)["label"].tolist() == [0]
    many = held.evenly_spaced(290)["label"]
    assert len(many.unique()) == 290, "more than one batch of validation"
    assert held.evenly_spaced(1000)["label"].tolist() == list(range(300))


def test_auto_decides_by_size():
    small, large = replace(SETTINGS, storage="auto"), replace(SETTINGS, storage="auto", memory_limit=1e-9)
    assert "held in memory" in loader(settings=small).storage[0]
    assert "streamed" in loader(settings=large).storage[0]


class Slow(Examples):
    """Takes a while to read."""

    nbytes = 10

    def __len__(self):
        return 10

    def rows(self, index):
        time.sleep(0.001)
        return {"x": torch.zeros(len(index), 1, 1, 2, dtype=torch.uint8)}


@pytest.mark.parametrize("pause, expected", [(0.0, 1), (0.1, 0)])
def test_says_once_where_training_waits_for_images(pause, expected, monkeypatch, caplog):
    monkeypatch.setattr(loading, "_WATCHED_BATCHES", 5)
    source = Numbered(10)
    monkeypatch.setattr(source, "open", lambda split: [Slow()])
    slow = loader(settings=replace(SETTINGS, storage="stream"), source=source)
    with caplog.at_level(logging.INFO, "genlab"):
        for _ in zip(range(25), slow.batches(4), strict=False):
            time.sleep(pause)
    assert len(caplog.messages) == expected
    assert all(re.search(r"waited \d+ % .* loader\.storage=memory", line) for line in caplog.messages)
    caplog.clear()
    take(loader(), 25)
    assert not caplog.messages, "what is in memory is not waited for"


@pytest.mark.parametrize(
    "cores, world, expected", [(1, 1, 1), (2, 1, 1), (12, 1, 6), (12, 2, 3), (2, 4, 1), (128, 1, 8)]
)
def test_workers_leave_half_of_the_cores_to_the_step(cores, world, expected, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(cores)), raising=False)
    settings = replace(SETTINGS, storage="stream", workers=None)
    assert loader(settings=settings, world=world).workers == expected


def test_a_signal_while_workers_start_waits_until_they_have_started(monkeypatch):
    """In the midst of torch's constructor, after which its destructor would find no workers."""
    event = torch.multiprocessing.Event

    def signalled():
        os.kill(os.getpid(), signal.SIGINT)
        return event()

    shown = []
    monkeypatch.setattr(sys, "unraisablehook", shown.append)
    monkeypatch.setattr(torch.multiprocessing, "Event", signalled)
    streamed = loader(settings=replace(SETTINGS, storage="stream", workers=1))
    with Interruption().listening() as interruption, pytest.raises(Interrupted), interruption.interruptible():
        next(streamed.batches(2))
    assert interruption.received == signal.SIGINT
    gc.collect()
    assert not shown


class Paired(TwoDomains):
    """One table of pairs: b is a + 100."""

    def __init__(self):
        super().__init__()
        self.spec = replace(self.spec, paired=True)

    def open(self, split):
        a = torch.arange(9).byte().view(-1, 1, 1, 1)
        return [ArrayExamples(a=a, b=100 + a)]


def test_pairs_stay_together_and_are_each_others_translation():
    source = Paired()
    for batch in take(Loader(source, "train", SETTINGS, seed=0, device=lab.CPU)):
        torch.testing.assert_close(batch["b"], batch["a"] + 100 / 255)
        assert set(batch.fields) == {"a", "b"}
    held = Loader(source, "validation", SETTINGS, seed=0, device=lab.CPU)
    for batch in (*held.in_order(), held.evenly_spaced(3)):
        assert batch["a_as_b"] is batch["b"] and batch["b_as_a"] is batch["a"]


def weighted(weights, settings=SETTINGS):
    """A loader that draws by the tensor `weights`."""
    found = loader(settings=settings)
    found.weight_examples(lambda: weights)
    return found


def changing(loader, weights, steps=STEPS, start=0):
    """Rows of batches from `start` on, where every step changes the weights of the rows that it has seen."""
    rows = []
    for _, batch in zip(range(start, steps), loader.batches(BATCH, start), strict=False):
        assert torch.equal(batch["index"], batch["label"]), "the rows' places among the training examples"
        rows.append(batch["index"].tolist())
        weights[batch["index"]] *= 1.5
    return rows


def test_equal_weights_change_no_batch_but_for_the_index():
    for plain, batch in zip(take(loader()), take(weighted(torch.ones(37))), strict=True):
        assert torch.equal(batch.fields.pop("index"), batch["label"])
        assert not list(lab.differences(plain.fields, batch.fields))
        assert torch.equal(plain.randn(2), batch.randn(2))


@pytest.mark.parametrize("workers", [0, 2])
def test_weighted_examples_are_the_same_held_and_streamed(workers):
    """Though examples of later steps are fetched ahead, nothing of the next epoch is before its weights are known."""
    stream = replace(SETTINGS, storage="stream", workers=workers)

    def rows(settings):
        weights = torch.ones(37)
        return changing(weighted(weights, settings), weights)

    held = rows(SETTINGS)
    assert held == rows(stream)
    seen = list(chain.from_iterable(held))
    assert sorted(seen[:37]) == list(range(37)) and len(set(seen[37:74])) < 37


@pytest.mark.parametrize("stop", range(1, STEPS))
def test_weighted_batches_from_the_middle_equal_those_of_an_uninterrupted_loader(stop):
    weights = torch.ones(37)
    expected = changing(weighted(weights), weights)
    weights = torch.ones(37)
    first = weighted(weights)
    changing(first, weights, stop)
    second = weighted(weights)
    second.order.load_state_dict(lab.snapshot(first.order.state_dict()))
    assert changing(second, weights, start=stop) == expected[stop:]
