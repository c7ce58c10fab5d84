"""A batch's noise belongs to its rows; a spec survives the checkpoint."""

import json

import pytest
import torch

from genlab.contract.data import Batch, DataSpec, Field, image_spec, select
from genlab.media.kinds import kind_of


def whole(n=24, seed=9):
    return Batch({"x": torch.rand(n, 1, 2, 2), "label": torch.arange(n)}, seed)


DRAWS = {
    "randn": lambda batch: batch.randn(5),
    "rand": lambda batch: batch.rand(2, 3),
    "rand of rows": lambda batch: batch.rand(),
    "randint": lambda batch: batch.randint(1000),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())
@pytest.mark.parametrize("parts", [1, 2, 4, 24])
def test_noise_of_slices_is_a_slice_of_the_noise(draw, parts):
    batch = whole()
    slices = list(batch.split(parts))
    assert len(slices) == parts
    for _ in range(3):  # also of later draws
        assert torch.equal(draw(batch), torch.cat([draw(part) for part in slices]))


def test_slices_of_slices_keep_their_place():
    (_, second) = whole().split(2)
    inner = list(second.split(3))
    assert [(part.offset, part.size, part.total) for part in inner] == [(12, 4, 24), (16, 4, 24), (20, 4, 24)]
    assert torch.equal(torch.cat([part.randn(2) for part in inner]), whole().randn(2)[12:])
    assert torch.equal(torch.cat([part["label"] for part in inner]), torch.arange(12, 24))


def test_draws_are_fresh_and_repeat_with_the_seed():
    batch, again, other = whole(), whole(), whole(seed=10)
    first, second = batch.randn(3), batch.randn(3)
    assert not torch.equal(first, second)
    assert torch.equal(first, again.randn(3)) and torch.equal(second, again.randn(3))
    assert not torch.equal(first, other.randn(3))


def test_noise_has_the_distribution_and_the_dtype_of_the_images():
    batch = Batch({"x": torch.zeros(1000, 1, 1, 1, dtype=torch.float64)}, seed=0)
    normal, uniform, integers = batch.randn(50), batch.rand(50), batch.randint(5)
    assert normal.dtype == uniform.dtype == torch.float64 and integers.dtype == torch.int64
    assert abs(normal.mean()) < 0.02 and abs(normal.std() - 1) < 0.02
    assert uniform.min() >= 0 and uniform.max() < 1 and abs(uniform.mean() - 0.5) < 0.01
    assert integers.unique().tolist() == [0, 1, 2, 3, 4]


def test_head_takes_the_first_rows():
    batch = whole().head(5)
    assert batch.size == batch.total == 5 and torch.equal(batch["label"], torch.arange(5))
    assert whole().head(100).size == 24


def test_noise_does_not_need_a_field_of_real_numbers():
    batch = Batch({"x": torch.arange(4), "label": torch.arange(4)}, seed=0)
    assert batch.randn(2).dtype == torch.get_default_dtype()


def test_a_batch_gives_its_first_field_and_its_condition():
    batch, pair = whole(), Batch({"b": torch.zeros(2, 1), "a": torch.ones(2, 1)}, 0)
    assert batch.first is batch["x"] and pair.first is pair["a"]
    assert list(batch.condition(["label"])) == ["label"] and batch.condition(["label"])["label"] is batch["label"]
    assert batch.condition([]) == {} and "label" in batch and "factors" not in batch


def test_select_takes_rows_of_every_entry():
    condition = {"label": torch.arange(5), "factors": torch.arange(10.0).view(5, 2)}
    chosen = select(condition, torch.tensor([4, 0]))
    assert chosen["label"].tolist() == [4, 0] and chosen["factors"].tolist() == [[8, 9], [0, 1]]
    assert select(condition, slice(1, 2))["label"].tolist() == [1]
    assert select(None, slice(3)) is None and select({}, slice(3)) == {}


POINTS = Field("points", (2,), names=(), centre=(0.5, -1.0), scale=(2.0, 0.1))

SPECS = {
    "images": (image_spec((1, 8, 8)), {"x"}),
    "with labels": (image_spec((3, 8, 9), 4, ["cat", "dog", "owl", "\u00e9"], 60_000), {"x", "label"}),
    "two domains": (DataSpec({side: Field("image", (3, 8, 8)) for side in "ab"}), {"a", "b"}),
    "pairs": (DataSpec({side: Field("image", (3, 8, 8)) for side in "ab"}, paired=True), {"a", "b", "pairs"}),
    "points": (DataSpec({"x": POINTS, "factors": Field("factors", (3,), names=("u", "v", "w"))}), {"x", "factors"}),
}


@pytest.mark.parametrize("spec, provides", SPECS.values(), ids=SPECS)
def test_spec_says_what_it_provides_and_survives_a_checkpoint(spec, provides):
    assert spec.provides == provides
    stored = json.loads(json.dumps(spec.to_dict(), allow_nan=False))
    assert stored == spec.to_dict() and DataSpec.from_dict(stored) == spec


def test_a_spec_gives_its_modelled_fields_first():
    plain, pairs = SPECS["with labels"][0], SPECS["pairs"][0]
    assert plain.domains == ("x",) and plain.shape == (3, 8, 9) and plain.num_classes == 4
    assert pairs.domains == ("a", "b") and pairs.num_classes == 0
    assert pairs["a_as_b"] is pairs["b"] and "a_as_b" not in pairs and "label" in plain
    with pytest.raises(KeyError):
        plain["factors"]


@pytest.mark.parametrize("shape", [(0, 8, 8), (1, 8, -8), (3, 2**15, 2**15)])
def test_sizes_that_no_example_has_are_refused(shape):
    with pytest.raises(ValueError, match=f"image of {'x'.join(map(str, shape))}"):
        Field("image", shape)


def stored(**changes):
    """The stored form of labelled images, and changes to the form of x."""
    found = image_spec((1, 8, 8), 3).to_dict()
    found["fields"]["x"] |= changes
    return found


def without(key, values):
    return {name: value for name, value in values.items() if name != key}


STRANGERS = {
    "nothing": (None, "data: must hold"),
    "a list": ([["fields", {}]], "data: must hold"),
    "an empty dict": ({}, "data: must hold"),
    "the format of version 0.3": ({"shape": [1, 8, 8], "num_classes": 0, "domains": ["x"]}, "data: must hold"),
    "a key too many": (stored() | {"more": 1}, "data: must hold"),
    "no number of examples": (without("num_examples", stored()), "data: must hold"),
    "no dict of fields": (stored() | {"fields": ["x"]}, r"data\.fields"),
    "no fields": (stored() | {"fields": {}}, r"data\.fields=\[\]: must hold x, or a and b"),
    "labels alone": (stored() | {"fields": without("x", stored()["fields"])}, r"data\.fields=\['label'\]"),
    "one domain": (stored() | {"fields": {"a": stored()["fields"]["x"]}}, r"data\.fields=\['a'\]"),
    "a name that is none": (stored() | {"fields": stored()["fields"] | {"../x": {}}}, r"data\.fields"),
    "a name that is a number": (stored() | {"fields": stored()["fields"] | {3: {}}}, r"data\.fields"),
    "an endless name": (stored() | {"fields": stored()["fields"] | {"x" * 10**6: {}}}, r"data\.fields"),
    "pairs that are a number": (stored() | {"paired": 1}, r"data\.paired"),
    "a count that is true": (stored() | {"num_examples": True}, r"num_examples"),
    "a count below zero": (stored() | {"num_examples": -1}, r"num_examples"),
    "a field of another form": (stored() | {"fields": {"x": [1, 8, 8]}}, r"data\.fields\.x: must hold kind"),
    "a field with more": (stored(more=1), r"data\.fields\.x: must hold kind"),
    "a kind that is a number": (stored(kind=3), r"data\.fields\.x\.kind=3"),
    "a shape that is a text": (stored(shape="188"), r"data\.fields\.x\.shape=188"),
    "a shape of truth": (stored(shape=[1, 8, True]), r"data\.fields\.x\.shape="),
    "a shape of fractions": (stored(shape=[1, 8, 8.0]), r"data\.fields\.x\.shape="),
    "a shape below zero": (stored(shape=[1, 8, -8]), "image of 1x8x-8"),
    "a shape beyond memory": (stored(shape=[2**40, 2**40, 2**40]), "image of"),
    "a shape of many axes": (stored(shape=[1] * 900), r"data\.fields\.x: .*size and shape"),
    "a size below zero": (stored(size=-1), r"data\.fields\.x: .*size and shape"),
    "a size beyond memory": (stored(size=10**12), r"data\.fields\.x: .*size and shape"),
    "a size that is a text": (stored(size="3"), r"data\.fields\.x\.size=3"),
    "a name of a class that is none": (stored(names=["cat", None]), r"data\.fields\.x\.names="),
    "an endless name of a class": (stored(names=["a" * 10**6]), r"data\.fields\.x: .*names"),
    "an endless kind": (stored(kind="image" * 10**6), r"data\.fields\.x"),
    "a centre of whole numbers": (stored(centre=[0]), r"data\.fields\.x\.centre=\[0\]"),
    "a centre that is none": (stored(centre=[float("nan")]), r"data\.fields\.x: .*centre"),
    "a scale of zero": (stored(scale=[0.0]), r"data\.fields\.x: .*scale"),
    "more names than classes": (stored(names=["a", "b"]), r"data\.fields\.x: .*2 names"),
    "a kind that nobody knows": (stored(kind="sounds"), "kind=sounds: .*image"),
    "a scale of another size": (stored(kind="points", shape=[2], scale=[1.0]), r"data\.fields\.x: .*scale"),
    "an image without a shape": (stored(shape=[]), r"image of shape \[\]: must have 3 axes"),
    "an image of two axes": (stored(shape=[8, 8]), r"image of shape \[8, 8\]: must have 3 axes"),
    "points that are images": (stored(kind="points"), r"points of shape \[1, 8, 8\]: must have 1 axes"),
}


@pytest.mark.parametrize("values, says", STRANGERS.values(), ids=STRANGERS)
def test_the_spec_of_a_stranger(values, says):
    with pytest.raises(ValueError, match=says) as refused:
        spec = DataSpec.from_dict(values)
        kind_of(spec["x"])
    assert len(str(refused.value)) < 1000 and "\n" not in str(refused.value)


def test_a_spec_is_checked_where_it_is_made():
    """A dataset of a user's own must not make runs that cannot be loaded."""
    assert Field("points", (2,), centre=(0, 0), scale=(1, 2)) == Field(
        "points", (2,), centre=(0.0, 0.0), scale=(1.0, 2.0)
    )
    for wrong in ({"x": Field("image", (1, 8, 8)), "Attr": Field("label", size=2)}, {"label": Field("label", size=2)}):
        with pytest.raises(ValueError, match=r"data\.fields"):
            DataSpec(wrong)
    with pytest.raises(ValueError, match="3 names"):
        Field("label", size=2, names=("a", "b", "c"))
