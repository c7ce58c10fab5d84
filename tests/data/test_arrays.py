"""Arrays: every layout and kind of number becomes the same images, and what cannot be images is refused."""

import numpy as np
import pytest
import torch

from genlab.data.arrays import Npz

VALUES = np.random.default_rng(0).integers(0, 256, (10, 6, 4), np.uint8)
LABELS = np.arange(10) % 3


def store(tmp_path, **arrays):
    path = tmp_path / "images.npz"
    np.savez_compressed(path, **arrays)
    return str(path)


def whole(source):
    """Both splits together, images in the order of their first pixels."""
    tables = [source.open(split)[0].load() for split in ("train", "validation")]
    fields = {name: torch.cat([table[name] for table in tables]) for name in tables[0]}
    order = fields["image"].flatten(1)[:, 0].argsort(stable=True)
    return {name: value[order] for name, value in fields.items()}


@pytest.mark.parametrize(
    "images, options",
    [
        (VALUES, {}),
        (VALUES[..., None], {}),
        (VALUES.reshape(10, 24), {"image_shape": [6, 4]}),
        (VALUES / np.float32(255), {}),
        (VALUES / 255, {}),
        (VALUES.astype(np.int64), {}),
        (VALUES.astype(">u2") * 257, {"max_value": 65535.0}),
    ],
)
def test_every_layout_gives_the_same_images(tmp_path, images, options):
    source = Npz(path=store(tmp_path, images=images), **options)
    assert source.spec.shape == (1, 6, 4) and source.sizes == {"train": 9, "validation": 1}
    expected = torch.from_numpy(VALUES[VALUES[:, 0, 0].argsort(kind="stable")])[:, None]
    found = whole(source)["image"]
    assert found.dtype == torch.uint8 and torch.equal(found, expected)


@pytest.mark.parametrize("kind", [np.uint8, bool])
def test_binary_images_are_black_and_white(tmp_path, kind):
    source = Npz(path=store(tmp_path, images=(VALUES > 99).astype(kind)), max_value=1.0)
    assert whole(source)["image"].unique().tolist() == [0, 255]


def test_colour_and_labels(tmp_path):
    colour = np.stack([VALUES, VALUES, 255 - VALUES], -1)
    source = Npz(path=store(tmp_path, x=colour, y=LABELS), images_key="x", labels_key="y", validation_fraction=0.3)
    fields = whole(source)
    assert source.spec.shape == (3, 6, 4) and source.spec.num_classes == 3 and fields["label"].dtype == torch.int64
    order = VALUES[:, 0, 0].argsort(kind="stable")
    assert fields["label"].tolist() == LABELS[order].tolist()
    assert torch.equal(fields["image"][:, 0], 255 - fields["image"][:, 2])


def test_arrays_held_out(tmp_path):
    path = store(tmp_path, images=VALUES, labels=LABELS, test=VALUES[:4], test_labels=LABELS[:4])
    options = {"validation_images_key": "test", "validation_labels_key": "test_labels"}
    source = Npz(path=path, labels_key="labels", **options)
    assert source.sizes == {"train": 10, "validation": 4}
    held_out = source.open("validation")[0].load()
    assert np.array_equal(held_out["image"][:, 0], VALUES[:4]) and held_out["label"].tolist() == [0, 1, 2, 0]
    assert np.array_equal(source.open("train")[0].load()["image"][:, 0], VALUES)
    for wrong in ({"validation_labels_key": None}, {"validation_images_key": None}):
        with pytest.raises(ValueError, match=r"dataset\..*Give"):
            Npz(path=path, labels_key="labels", **{**options, **wrong})


def test_blocks(tmp_path):
    frames = np.broadcast_to(np.arange(100, dtype=np.uint8)[:, None, None], (100, 2, 2))
    source = Npz(path=store(tmp_path, images=frames), validation_fraction=0.2, block_size=20)
    held_out = source.open("validation")[0].load()["image"][:, 0, 0, 0].tolist()
    assert held_out == list(range(held_out[0], held_out[0] + 20)) and held_out[0] % 20 == 0


@pytest.mark.parametrize(
    "arrays, options, message",
    [
        ({"x": VALUES}, {}, r"dataset\.images_key=images: no such array in .*, which holds x uint8\[10, 6, 4\]"),
        ({"images": np.array([VALUES, None], object)}, {}, "cannot be images"),
        ({"images": VALUES.astype(complex)}, {}, "cannot be images"),
        ({"images": np.array(3)}, {}, "cannot be images"),
        ({"images": VALUES[:0]}, {}, "cannot be images"),
        ({"images": VALUES.reshape(10, 24)}, {}, r"holds flat rows. Give dataset\.image_shape"),
        ({"images": VALUES.reshape(10, 24)}, {"image_shape": [5, 5]}, r"does not fit dataset\.image_shape=\[5, 5\]"),
        ({"images": np.stack([VALUES] * 3, 1)}, {}, r"is not \[N, height, width\]"),
        ({"images": VALUES, "y": LABELS[:9]}, {"labels_key": "y"}, "cannot be the labels of 10 images"),
        ({"images": VALUES, "y": LABELS / 2}, {"labels_key": "y"}, "cannot be the labels of 10 images"),
        ({"images": VALUES, "y": LABELS + 1}, {"labels_key": "y"}, "holds the values 1, 2, 3. Number the classes"),
        ({"images": VALUES, "y": LABELS * 2}, {"labels_key": "y"}, "holds the values 0, 2, 4. Number the classes"),
        ({"images": VALUES[:1]}, {}, "holds 1 image"),
    ],
)
def test_refuses_from_the_headers(tmp_path, arrays, options, message):
    with pytest.raises(ValueError, match=message):
        Npz(path=store(tmp_path, **arrays), **options)


@pytest.mark.parametrize(
    "images, message",
    [
        (VALUES / 200, "outside 0 to 1"),
        (VALUES / 255 - 0.5, "outside 0 to 1"),
        (np.where(VALUES > 99, np.nan, 0.5), "outside 0 to 1"),
        (VALUES.astype(int) * 2, "outside 0 to 255"),
        ((VALUES > 99).astype(np.uint8), r"Give dataset\.max_value=1 "),
    ],
)
def test_refuses_values_when_opened(tmp_path, images, message):
    source = Npz(path=store(tmp_path, images=images))
    with pytest.raises(ValueError, match=message):
        source.open("train")


def test_refuses_other_files(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"nothing of the kind")
    for path, message in (
        (None, "is not set"),
        ("/no/file.npz", "no such file"),
        (str(tmp_path / "x.npz"), "not a sound"),
    ):
        with pytest.raises(ValueError, match=rf"dataset\.path.*{message}"):
            Npz(path=path)


def test_real_video_frames(need):
    source = Npz(path=need("frey/frey_faces.npz"), block_size=100)
    assert source.spec.shape == (1, 28, 20) and sum(source.sizes.values()) == 1965
    assert len(source.open("validation")[0]) == source.sizes["validation"]


def test_real_binary_rows(need):
    path = need("binarized_mnist/binarized_mnist.npz")
    keys = {"images_key": "train", "validation_images_key": "valid"}
    source = Npz(path=path, **keys, image_shape=[28, 28], max_value=1.0)
    images = source.open("validation")[0].load()["image"]
    assert images.shape == (10_000, 1, 28, 28) and int((images == 255).sum()) == 1_028_036
