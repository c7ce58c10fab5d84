"""Built-in data are what their spec says; what no machine holds is refused before it is read or rendered."""

import pytest
import torch
from PIL import Image

from genlab.contract.settings import LoaderConfig
from genlab.data.decoding import MOST_PIXELS, decode
from genlab.data.digits import Digits
from genlab.data.loading import Loader
from genlab.data.shapes import Shapes
from genlab.data.stripes import Stripes
from genlab.system import memory


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: Digits(size=16, seed=seed),
        lambda seed: Shapes(size=16, num_images=200, seed=seed),
        lambda seed: Stripes(size=24, num_train=40, num_validation=20, channels=1, seed=seed),
        lambda seed: Stripes(size=24, num_train=40, num_validation=20, seed=seed),
    ],
    ids=["digits", "shapes", "grey stripes", "stripes"],
)
def test_tables_match_the_spec_and_are_functions_of_the_seed(make):
    source, same, other = make(0), make(0), make(1)
    for split, size in source.sizes.items():
        for table, again, differing in zip(*(each.open(split) for each in (source, same, other)), strict=True):
            fields = table.load()
            assert len(table) == size and source.spec.provides & set(fields)
            for name, value in fields.items():
                assert torch.equal(value, again.load()[name]) and not torch.equal(value, differing.load()[name])
                if name == "label":
                    assert value.dtype == torch.int64 and value.unique().tolist() == list(
                        range(source.spec.num_classes)
                    )
                elif name != "factors":
                    assert value.dtype == torch.uint8 and value.shape == (size, *source.spec.shape)


def test_a_container_has_less_memory_than_its_machine(tmp_path, monkeypatch):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "_CONTAINER_LIMITS", (str(limit),))
    whole = memory.total()
    for content, total in (("max", whole), ("1048576", 2**20), (str(2**62), whole)):
        limit.write_text(content)
        assert memory.total() == total


def test_data_is_held_in_memory_only_where_it_fits(monkeypatch):
    source = Digits()
    monkeypatch.setattr(memory, "total", lambda: 2**10)
    settings = LoaderConfig(storage="memory", memory_limit=1, workers=0, flip=False, shift=0)
    with pytest.raises(ValueError, match=r"loader\.storage=memory: the data .* give loader\.storage=stream"):
        Loader(source, "train", settings, seed=0, device="cpu")
    settings.storage = "stream"
    Loader(source, "train", settings, seed=0, device="cpu")


def test_large_photographs_are_decoded_at_a_fraction_of_their_size(tmp_path):
    """A camera's JPEG has more pixels than are decoded of other files; it is read at a lower resolution."""
    side = int(MOST_PIXELS**0.5) + 8
    Image.new("L", (side, side), 200).save(tmp_path / "x.jpg")
    assert decode(str(tmp_path / "x.jpg"), (1, 32, 32)).float().mean() == pytest.approx(200, abs=1)


@pytest.mark.parametrize(
    "source, key, value",
    [
        (Digits, "size", 4),
        (Digits, "validation_fraction", 0.0),
        (Digits, "validation_fraction", 1.0),
        (Shapes, "size", 8),
        (Shapes, "num_scales", 0),
        (Stripes, "channels", 2),
        (Stripes, "period", 3),
        (Stripes, "max_shapes", 0),
        (Stripes, "num_train", 0),
    ],
)
def test_options_out_of_range_are_refused(source, key, value):
    with pytest.raises(ValueError, match=rf"dataset\.{key}={value}.* (Give|must lie)"):
        source(**{key: value})
