"""A batch's noise belongs to its rows; a spec survives the checkpoint."""

import pytest
import torch

from genlab.contract.data import Batch, DataSpec, Field, image_spec


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


@pytest.mark.parametrize(
    "spec, provides",
    [
        (image_spec((1, 8, 8)), {"x"}),
        (image_spec((3, 8, 9), 4), {"x", "label"}),
        (DataSpec({side: Field("image", (3, 8, 8)) for side in "ab"}), {"a", "b"}),
    ],
)
def test_spec_says_what_it_provides_and_survives_a_checkpoint(spec, provides):
    assert spec.provides == provides
    assert all(isinstance(value, (int, list)) for value in spec.to_dict().values()), "plain values alone"
    assert DataSpec.from_dict(spec.to_dict()) == spec


@pytest.mark.parametrize(
    "values, says",
    [
        (None, "must hold shape"),
        ({"shape": [1, 8, 8]}, "must hold shape"),
        ({"shape": [1, 8, True], "num_classes": 0, "domains": ["x"]}, r"data\.shape="),
        ({"shape": [1, 8, -8], "num_classes": 0, "domains": ["x"]}, "images of 1x8x-8"),
        ({"shape": [1, 8, 8], "num_classes": -1, "domains": ["x"]}, r"data\.num_classes=-1"),
    ],
)
def test_the_spec_of_a_stranger(values, says):
    with pytest.raises(ValueError, match=says):
        DataSpec.from_dict(values)
