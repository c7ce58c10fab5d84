"""Derived pairs: what each one is, and that a and b stay together under everything that a loader does to them."""

import lab
import pytest
import torch

from genlab.config.build import build_source
from genlab.config.check import problems_of_node
from genlab.contract.data import DataSpec, Field, image_spec
from genlab.contract.settings import PAIRS, LoaderConfig
from genlab.data.loading import Loader
from genlab.data.npy import Npy
from genlab.data.pairs import DERIVED, HOLE_GREY, LUMINANCE, Paired
from genlab.data.source import ArrayExamples, Examples, Source, StoredExamples


class Images(Source):
    """Smooth random images, as a class of their own: in memory, or decoded row by row."""

    def __init__(self, shape=(3, 12, 17), labels=False, table=ArrayExamples, count=40):
        self.spec, self.table = image_spec(shape, 3 if labels else 0), table
        self.sizes = {"train": count, "validation": 10}

    def open(self, split):
        generator = torch.Generator().manual_seed(len(split))
        x = torch.randint(0, 256, (self.sizes[split], *self.spec.shape), dtype=torch.uint8, generator=generator)
        label = {"label": torch.arange(len(x)) % 3} if self.spec.num_classes else {}
        return [self.table(x=x, **label)]


class Decoded(Examples):
    """A table that is decoded in workers when it is streamed."""

    def __init__(self, **fields):
        self.inner = ArrayExamples(**fields)
        self.nbytes = self.inner.nbytes

    def __len__(self):
        return len(self.inner)

    def rows(self, index):
        return self.inner.rows(index)


class Stored(Decoded, StoredExamples):
    """A table that lies on the disk; remembers what was announced."""

    def prefetch(self, index):
        self.announced = index


def numbers(n, seed=0):
    return torch.rand(n, 3, generator=torch.Generator().manual_seed(seed))


def images(n=6, shape=(3, 12, 17), seed=1):
    return torch.randint(0, 256, (n, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def test_the_setting_knows_what_can_be_derived():
    assert tuple(DERIVED) == PAIRS


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("channels", [1, 3])
def test_derived_images_keep_the_size(pair, channels):
    x = images(shape=(channels, 12, 17))
    a = DERIVED[pair](x, numbers(6))
    assert a.dtype == torch.uint8 and a.shape == (6, 1 if pair in ("gray", "edges") else channels, 12, 17)


def test_gray_is_the_luminance():
    x = images()
    expected = sum(weight * x[:, channel].double() for channel, weight in enumerate(LUMINANCE))
    assert (DERIVED["gray"](x, numbers(6))[:, 0].double() - expected).abs().max() <= 0.5 + 1e-4
    white = torch.full((1, 3, 8, 8), 255, dtype=torch.uint8)
    assert (DERIVED["gray"](white, numbers(1)) == 255).all()


def test_edges_are_dark_where_the_luminance_steps():
    x = torch.full((1, 3, 10, 10), 40, dtype=torch.uint8)
    x[..., 6:] = 200
    a = DERIVED["edges"](x, numbers(1))[0, 0]
    assert (a[:, 5:7] == 0).all(), "a step of more than half the range is black"
    assert (a[:, :5] == 255).all() and (a[:, 7:] == 255).all(), "flat parts and borders are white"
    soft = torch.full((1, 3, 10, 10), 40, dtype=torch.uint8)
    soft[..., 6:, :] = 60
    assert (DERIVED["edges"](soft, numbers(1))[0, 0, 5:7] == 255 - 2 * 20).all()


def test_a_mask_is_one_grey_square():
    x = images(200, (3, 16, 24)).clamp(max=120)  # no pixel has the grey of the hole
    a = DERIVED["mask"](x, numbers(200))
    hole = (a == HOLE_GREY).all(1)
    assert torch.equal(torch.where(hole[:, None], x, a), x), "the image is untouched around it"
    rows, columns = hole.any(2).sum(1), hole.any(1).sum(1)
    assert torch.equal(rows, columns) and torch.equal(hole.sum((1, 2)), rows * columns)
    assert set(rows.tolist()) == {4, 5, 6, 7, 8}, "a quarter to half of the smaller side"
    assert hole.any(2).any(0).all() and hole.any(1).any(0).all(), "it may lie in every row and column"


def test_downscale_shows_mean_colours():
    x = images(4, (3, 10, 13))
    a = DERIVED["downscale"](x, numbers(4))
    for top in (0, 4, 8):
        for left in (0, 4, 8, 12):
            block = x[..., top : top + 4, left : left + 4].double().mean((2, 3), keepdim=True)
            assert (a[..., top : top + 4, left : left + 4].double() - block).abs().max() <= 0.5 + 1e-4


@pytest.mark.parametrize("pair", PAIRS)
def test_a_paired_dataset_is_one_table(pair):
    source = Paired(Images(labels=True), pair, seed=3)
    assert source.spec.paired and source.spec.domains == ("a", "b")
    assert source.spec.provides == {"a", "b", "label", "pairs"} and source.spec.num_classes == 3
    (table,) = source.open("train")
    whole, (original,) = table.load(), Images(labels=True).open("train")
    assert set(whole) == {"a", "b", "label"} and torch.equal(whole["b"], original.load()["x"])
    assert whole["a"].shape[1:] == source.spec["a"].shape
    assert table.nbytes == sum(value.nbytes for value in whole.values())
    index = torch.tensor([7, 3, 7])
    for name, rows in table.rows(index).items():
        assert torch.equal(rows, whole[name][index]), f"{name} of a row does not depend on how it is read"


def test_holes_depend_on_seed_split_and_row():
    def holes(seed, split="train"):
        black = Images()
        (table,) = Paired(black, "mask", seed).open(split)
        return table.holes

    assert torch.equal(holes(1), holes(1)) and not torch.equal(holes(1), holes(2))
    assert not torch.equal(holes(1)[:10], holes(1, "validation"))
    assert len(holes(1).unique(dim=0)) == 40


def test_rows_on_disk_are_still_announced():
    source = Images(table=Stored)
    (table,) = Paired(source, "gray").open("train")
    assert isinstance(table, StoredExamples)
    table.prefetch(torch.tensor([4]))
    assert table.table.announced.tolist() == [4]
    assert not isinstance(Paired(Images(table=Decoded), "gray").open("train")[0], StoredExamples)


@pytest.mark.parametrize("storage", ["memory", "stream"])
@pytest.mark.parametrize("table", [Decoded, Stored])
@pytest.mark.parametrize("pair", ["gray", "edges"])
def test_a_and_b_move_as_one(pair, table, storage):
    """Fails when one side is flipped or shifted alone, or when rows are drawn apart."""
    source = Paired(Images((3, 16, 21), table=table), pair)
    settings = LoaderConfig(storage, memory_limit=1, workers=0, flip=True, shift=2)
    loader = Loader(source, "train", settings, seed=5, device=lab.CPU)
    untouched = source.open("train")[0].load()["b"]
    moved = 0
    for _, batch in zip(range(6), loader.batches(8), strict=False):
        b = (255 * batch["b"]).round().byte()
        a = (255 * batch["a"]).round().byte()
        derived = DERIVED[pair](b, numbers(8))
        if pair == "edges":  # of repeated borders the filter sees other neighbours
            a, derived = a[..., 3:-3, 3:-3], derived[..., 3:-3, 3:-3]
        assert torch.equal(a, derived)
        moved += sum(not (x == untouched).flatten(1).all(1).any() for x in b)
    assert moved > 30, "augmentation was on"


def test_what_cannot_be_paired_is_refused():
    points = Images()
    points.spec = DataSpec({"x": Field("points", (2,))})
    with pytest.raises(ValueError, match=r"dataset\.pair=gray: .*images.*points"):
        Paired(points, "gray")
    with pytest.raises(ValueError, match=r"dataset\.pair=gray: .*grey already.*dataset\.channels"):
        Paired(Images((1, 8, 8)), "gray")
    with pytest.raises(ValueError, match=r"dataset\.pair=mask: .*a and b already"):
        Paired(Paired(Images(), "gray"), "mask")
    assert Paired(Images((1, 8, 8)), "edges").spec["a"].shape == (1, 8, 8)


def test_every_dataset_takes_the_key():
    digits = {"_target_": "genlab.data.digits.Digits", "size": 16, "seed": 4}
    assert not problems_of_node("dataset", {**digits, "pair": None})
    source = build_source({**digits, "pair": "downscale"})
    assert source.spec.paired and source.seed == 4 and source.sizes == build_source(digits).sizes
    (problem,) = problems_of_node("dataset", {**digits, "pair": "colour"})
    assert problem.startswith("dataset.pair=colour: ") and all(pair in problem for pair in PAIRS)


def test_a_file_of_rows_is_paired_as_it_is_read(tmp_path):
    import numpy as np

    np.save(tmp_path / "x.npy", images(30, (3, 9, 8)).permute(0, 2, 3, 1).numpy())
    source = Paired(Npy(path=str(tmp_path / "x.npy")), "gray")
    (table,) = source.open("validation")
    rows = table.rows(torch.tensor([2, 0]))
    assert torch.equal(rows["a"], DERIVED["gray"](rows["b"], numbers(2)))
