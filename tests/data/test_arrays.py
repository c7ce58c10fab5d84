"""Arrays in .npz and .npy files: every layout gives the same images, from disk as from memory; others are refused."""

from dataclasses import replace

import lab
import numpy as np
import pytest
import torch

from genlab.contract.settings import LoaderConfig
from genlab.data.arrays import Npz
from genlab.data.fingerprint import fingerprint
from genlab.data.loading import Loader
from genlab.data.npy import Npy

COLOUR = np.random.default_rng(0).integers(0, 256, (40, 6, 4, 3), np.uint8)
COLOUR[:, 0, 0, 0] = np.random.default_rng(1).permutation(40)  # what each is told by
GREY, FIRST = COLOUR[..., 0], COLOUR.transpose(0, 3, 1, 2)
LABELS = np.arange(40) % 3


def npz(folder, images, labels=None, **options):
    arrays = {"images": images} if labels is None else {"images": images, "labels": labels}
    np.savez_compressed(folder / "x.npz", **arrays)
    return Npz(path=str(folder / "x.npz"), labels_key=None if labels is None else "labels", **options)


def npy(folder, images, labels=None, **options):
    np.save(folder / "x.npy", images)
    if labels is not None:
        np.save(folder / "labels.npy", labels)
        options["labels_path"] = str(folder / "labels.npy")
    return Npy(path=str(folder / "x.npy"), **options)


def whole(source):
    """Both splits together, images in the order of their first pixels."""
    tables = [source.open(split)[0].load() for split in ("train", "validation")]
    fields = {name: torch.cat([table[name] for table in tables]) for name in tables[0]}
    order = fields["x"][:, 0, 0, 0].argsort(stable=True)
    return {name: value[order] for name, value in fields.items()}


@pytest.mark.parametrize(
    "kind, array, options",
    [
        (npz, COLOUR, {}),
        (npz, GREY, {}),
        (npz, GREY[..., None], {}),
        (npz, COLOUR.reshape(40, -1), {"image_shape": [6, 4, 3]}),
        (npz, FIRST, {}),
        (npz, GREY / 255, {}),
        (npz, GREY / 127.5 - 1, {"min_value": -1.0}),
        (npz, GREY.astype(np.int16) - 128, {"min_value": -128.0, "max_value": 127.0}),
        (npz, GREY.astype(np.int64), {}),
        (npz, GREY.astype(">u2") * 257, {"max_value": 65535.0}),
        (npy, COLOUR, {}),
        (npy, FIRST.copy(), {}),
        (npy, COLOUR[:, :3], {"layout": "channels_last"}),
        (npy, FIRST[..., :3].copy(), {"layout": "channels_first"}),
        (npy, GREY.copy(), {}),
        (npy, GREY[:, :3].copy(), {}),
        (npy, GREY[..., None], {}),
        (npy, GREY[:, None].copy(), {}),
    ],
)
def test_every_layout_gives_the_same_images(kind, array, options, tmp_path):
    source = kind(tmp_path, array, **options)
    channels, height, width = source.spec.shape
    expected = torch.from_numpy(COLOUR[:, :height, :width, :channels]).permute(0, 3, 1, 2)
    found = whole(source)["x"]
    assert found.is_contiguous() and found.dtype == torch.uint8
    assert torch.equal(found, expected[expected[:, 0, 0, 0].argsort()])
    assert source.sizes == {"train": 36, "validation": 4} and source.spec.num_classes == 0


@pytest.mark.parametrize("kind", [npz, npy])
def test_labels_stay_with_their_images(kind, tmp_path):
    source = kind(tmp_path, COLOUR, LABELS.astype(">i2"), validation_fraction=0.3, seed=3)
    assert source.spec.num_classes == 3 and source.sizes["validation"] == 12
    assert whole(source)["label"].tolist() == LABELS[COLOUR[:, 0, 0, 0].argsort()].tolist()


@pytest.mark.parametrize("kind", [npz, npy])
def test_blocks_are_held_out_together(kind, tmp_path):
    frames = np.broadcast_to(np.arange(100, dtype=np.uint8)[:, None, None], (100, 2, 2))
    source = kind(tmp_path, frames, validation_fraction=0.2, block_size=5, seed=3)
    blocks, counts = (source.open("validation")[0].load()["x"][:, 0, 0, 0] // 5).unique(return_counts=True)
    assert counts.tolist() == [5] * 4 and blocks.tolist() != [0, 1, 2, 3]


@pytest.mark.parametrize("kind", [np.uint8, bool])
def test_binary_images_are_black_and_white(tmp_path, kind):
    assert whole(npz(tmp_path, (GREY > 99).astype(kind), max_value=1.0))["x"].unique().tolist() == [0, 255]


def test_arrays_held_out(tmp_path):
    path = str(tmp_path / "x.npz")
    np.savez(path, images=GREY, labels=LABELS, test=GREY[:4], test_labels=LABELS[:4])
    options = {"validation_images_key": "test", "validation_labels_key": "test_labels"}
    source = Npz(path=path, labels_key="labels", **options)
    assert source.sizes == {"train": 40, "validation": 4}
    held_out = source.open("validation")[0].load()
    assert np.array_equal(held_out["x"][:, 0], GREY[:4]) and held_out["label"].tolist() == [0, 1, 2, 0]
    assert np.array_equal(source.open("train")[0].load()["x"][:, 0], GREY)
    for wrong in ({"validation_labels_key": None}, {"validation_images_key": None}):
        with pytest.raises(ValueError, match=r"dataset\..*Give"):
            Npz(path=path, labels_key="labels", **{**options, **wrong})


@pytest.mark.parametrize(
    "kinds, images, options, message",
    [
        ((npz, npy), COLOUR.astype(complex), {}, r"complex128\[40, 6, 4, 3\] cannot be images. Store them as uint8"),
        ((npz, npy), np.array(3), {}, "cannot be images"),
        ((npz, npy), COLOUR[:0], {}, "cannot be images"),
        ((npz, npy), COLOUR[:1], {}, "holds 1 image"),
        ((npy,), GREY / 255, {}, r"numpy\.load\(OLD\) \* 255\)\.astype\('uint8'\)"),
        ((npy,), GREY / 127.5 - 1, {}, r"\* 127\.5 \+ 127\.5"),
        ((npy,), GREY / 1.0, {}, "these hold values from 0 to 255"),
        ((npz, npy), COLOUR, {"labels": LABELS[:9]}, "cannot be the labels of 40 images"),
        ((npz, npy), COLOUR, {"labels": LABELS / 2}, r"holds 0\.5, which is no class"),
        ((npz, npy), COLOUR, {"labels": np.where(LABELS, np.nan, 1)}, "holds nan, which is no class"),
        ((npz, npy), COLOUR, {"labels": LABELS > 1}, "cannot be the labels of 40 images"),
        (
            (npz,),
            COLOUR,
            {"images_key": "x"},
            r"images_key=x: no such array in .* holds images uint8.*images_key=images",
        ),
        ((npz,), COLOUR, {"min_value": 255.0}, r"dataset\.min_value=255.*below dataset\.max_value, here 255"),
        ((npz,), GREY.reshape(40, 24), {}, r"Give dataset\.image_shape"),
        ((npz,), GREY.reshape(40, 24), {"image_shape": [5, 5]}, r"does not fit dataset\.image_shape=\[5, 5\]"),
        ((npz,), COLOUR[..., :2], {}, r"is not \[N, height, width\]"),
        ((npy,), COLOUR / 255, {}, "cannot be images. Store them as uint8"),
        ((npy,), COLOUR[..., :2].copy(), {}, r"is not \[N, height, width, 1 or 3\]"),
        ((npy,), COLOUR, {"layout": "channels_first"}, r"is not \[N, height, width, 1 or 3\]"),
        ((npy,), COLOUR[:, :3].copy(), {}, r"Give dataset\.layout=channels_last or channels_first"),
        ((npy,), COLOUR, {"layout": "NHWC"}, r"dataset\.layout=NHWC"),
        ((npy,), np.asfortranarray(COLOUR), {}, "is stored by columns. Store"),
    ],
)
def test_refuses_from_the_headers(kinds, images, options, message, tmp_path):
    for kind in kinds:
        with pytest.raises(ValueError, match=message):
            kind(tmp_path, images, **options)


@pytest.mark.parametrize(
    "kind, images, message",
    [
        (npz, GREY / 200, r"outside 0 to 1\. Give .* dataset\.max_value="),
        (npz, GREY / 255 - 0.5, "outside 0 to 1"),
        (npz, np.where(GREY > 99, np.nan, 0.5), "outside 0 to 1"),
        (npz, GREY / 127.5 - 1, r"dataset\.min_value=-1"),
        (npz, GREY / 15.9375, r"dataset\.max_value=16;"),
        (npz, GREY / 1.0 - 100, r"by \(x \+ 100\) / "),
        (npz, GREY / 1.0, r"dataset\.max_value=255;"),
        (npz, np.where(GREY > 99, -np.inf, 0.5), r"NaN or infinite.* numpy\.nan_to_num"),
        (npz, GREY.astype(int) * 2, "outside 0 to 255"),
        (npz, (GREY > 99).astype(np.uint8), r"Give dataset\.max_value=1 "),
        (npy, (COLOUR > 99).astype(np.uint8), "Store white as 255"),
    ],
)
def test_refuses_values_when_opened(kind, images, message, tmp_path):
    source = kind(tmp_path, images)
    with pytest.raises(ValueError, match=message):
        source.open("train")


def test_objects_are_refused_and_never_run(tmp_path):
    class Explosive:
        def __reduce__(self):
            return (tmp_path / "ran").touch, ()

    objects = np.empty((40, 6, 4), object)
    objects[:] = [[[Explosive()]]]
    for images, labels in ((objects, None), (GREY.copy(), objects[:, 0, 0])):
        with pytest.raises(ValueError, match=r"cannot be|Python objects"):
            npy(tmp_path, images, labels)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind, source, damaged", [(npz, Npz, "x.npz"), (npy, Npy, "x.npy")])
def test_other_files_are_refused(kind, source, damaged, tmp_path):
    for path, message in ((None, "is not set. Give"), ("/nowhere", "no such file. Give"), ("/", "no such")):
        with pytest.raises(ValueError, match=rf"dataset\.path.*{message}"):
            source(path=path)
    kind(tmp_path, COLOUR)
    sound = (tmp_path / damaged).read_bytes()
    for content in (b"", b"no array", sound[:-1], sound[:4] + b"\x09" * 4 + sound[8:-1]):
        (tmp_path / damaged).write_bytes(content)
        with pytest.raises(ValueError, match=r"dataset\.path=.* is not a sound .* Write it by numpy\.save"):
            source(path=str(tmp_path / damaged))


# read from the disk

STREAM = LoaderConfig(storage="stream", memory_limit=1.0, workers=0, flip=True, shift=1)


@pytest.mark.parametrize("array", [COLOUR, FIRST.copy()], ids=["channels_last", "channels_first"])
def test_from_the_disk_as_from_memory_to_the_bit(array, tmp_path):
    source = npy(tmp_path, array, LABELS)
    disk, held = (
        Loader(source, "train", settings, seed=5, device=lab.CPU)
        for settings in (STREAM, replace(STREAM, storage="memory"))
    )
    assert "read from the disk" in disk.storage[0] and "held in memory" in held.storage[0]
    for _, one, other in zip(range(12), disk.batches(10), held.batches(10), strict=False):
        assert not list(lab.differences(one.fields, other.fields))
    for one, other in zip(disk.in_order(), held.in_order(), strict=True):
        assert not list(lab.differences(one.fields, other.fields))
    assert fingerprint(disk) == fingerprint(held)
    assert torch.equal(disk.evenly_spaced(7)["x"], held.evenly_spaced(7)["x"])


def test_rows_are_announced_before_they_are_read(tmp_path, monkeypatch):
    loader = Loader(npy(tmp_path, COLOUR), "train", STREAM, seed=5, device=lab.CPU)
    file = loader.tables[0].table.file
    announced, drawn = [], []
    read = file.read
    monkeypatch.setattr(file, "prefetch", lambda rows: announced.append(rows.tolist()))
    monkeypatch.setattr(file, "read", lambda rows: drawn.append((rows.tolist(), len(announced))) or read(rows))
    for _ in zip(range(5), loader.batches(10), strict=False):
        pass
    for number, (rows, ahead) in enumerate(drawn):
        assert announced[number] == rows and ahead >= number + 4


def test_a_file_that_shrinks_is_no_crash(tmp_path):
    table = npy(tmp_path, COLOUR).open("train")[0]
    with open(tmp_path / "x.npy", "r+b") as file:
        file.truncate(300)
    with pytest.raises(ValueError, match="has become shorter"):
        table.rows(torch.arange(30))
