"""One .npy file: its layouts, what is refused, and that what is read from the disk is what memory would hold."""

from dataclasses import replace
from pathlib import Path

import lab
import numpy as np
import pytest
import torch

from genlab.contract.settings import LoaderConfig
from genlab.data.loading import Loader
from genlab.data.npy import Npy
from genlab.runs.provenance import fingerprint

COLOUR = np.random.default_rng(0).integers(0, 256, (40, 6, 4, 3), np.uint8)
COLOUR[:, 0, 0, 0] = np.random.default_rng(1).permutation(40)  # what each is told by
LABELS = np.arange(40) % 3
STREAM = LoaderConfig(storage="stream", memory_limit=1.0, workers=0, flip=True, shift=1)


def store(tmp_path, array, name="images.npy", **options):
    np.save(tmp_path / name, array, **options)
    return str(tmp_path / name)


def whole(source):
    """Both splits together, images in the order of their first pixels."""
    tables = [source.open(split)[0].load() for split in ("train", "validation")]
    fields = {name: torch.cat([table[name] for table in tables]) for name in tables[0]}
    order = fields["image"][:, 0, 0, 0].argsort()
    return {name: value[order] for name, value in fields.items()}


@pytest.mark.parametrize(
    "array, options",
    [
        (COLOUR, {}),
        (COLOUR.transpose(0, 3, 1, 2).copy(), {}),
        (COLOUR[:, :3], {"layout": "channels_last"}),
        (COLOUR.transpose(0, 3, 1, 2)[..., :3].copy(), {"layout": "channels_first"}),
        (COLOUR[..., 0].copy(), {}),
        (COLOUR[:, :3, :, 0].copy(), {}),
        (COLOUR[..., :1].copy(), {}),
        (COLOUR[..., :1].transpose(0, 3, 1, 2).copy(), {}),
    ],
    ids=["last", "first", "told last", "told first", "grey", "low grey", "grey last", "grey first"],
)
def test_every_layout_gives_the_same_images(tmp_path, array, options):
    source = Npy(path=store(tmp_path, array), **options)
    channels, height, width = source.spec.shape
    expected = torch.from_numpy(COLOUR[:, :height, :width, :channels]).permute(0, 3, 1, 2)
    expected = expected[expected[:, 0, 0, 0].argsort()]
    found = whole(source)["image"]
    assert found.is_contiguous() and found.dtype == torch.uint8 and torch.equal(found, expected)
    assert source.sizes == {"train": 36, "validation": 4} and source.spec.num_classes == 0


def test_labels_stay_with_their_images(tmp_path):
    labels_path = store(tmp_path, LABELS.astype(">i2"), "labels.npy")
    source = Npy(path=store(tmp_path, COLOUR), labels_path=labels_path, validation_fraction=0.3, seed=3)
    assert source.spec.num_classes == 3
    order = COLOUR[:, 0, 0, 0].argsort()
    assert whole(source)["label"].tolist() == LABELS[order].tolist()


def test_blocks_are_held_out_together(tmp_path):
    frames = np.broadcast_to(np.arange(100, dtype=np.uint8)[:, None, None], (100, 2, 2))
    source = Npy(path=store(tmp_path, frames), validation_fraction=0.2, block_size=20)
    held_out = source.open("validation")[0].load()["image"][:, 0, 0, 0].tolist()
    assert held_out == list(range(held_out[0], held_out[0] + 20)) and held_out[0] % 20 == 0


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_from_the_disk_as_from_memory_to_the_bit(tmp_path, layout):
    array = COLOUR if layout == "channels_last" else COLOUR.transpose(0, 3, 1, 2).copy()
    source = Npy(path=store(tmp_path, array), labels_path=store(tmp_path, LABELS, "labels.npy"))
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
    assert torch.equal(disk.evenly_spaced(7)["image"], held.evenly_spaced(7)["image"])


def test_a_later_start_goes_on_with_the_same_batches(tmp_path):
    loader = Loader(Npy(path=store(tmp_path, COLOUR)), "train", STREAM, seed=5, device=lab.CPU)
    from_start = [batch for _, batch in zip(range(9), loader.batches(10), strict=False)]
    for one, other in zip(from_start[4:], loader.batches(10, 4), strict=False):
        assert torch.equal(one["image"], other["image"])


def test_rows_are_announced_before_they_are_read(tmp_path, monkeypatch):
    source = Npy(path=store(tmp_path, COLOUR))
    loader = Loader(source, "train", STREAM, seed=5, device=lab.CPU)
    file = loader.tables[0].table.file
    events = []
    read = file.read
    monkeypatch.setattr(file, "prefetch", lambda rows: events.append(("announced", rows.tolist())))
    monkeypatch.setattr(file, "read", lambda rows: events.append(("read", rows.tolist())) or read(rows))
    for _ in zip(range(5), loader.batches(10), strict=False):
        pass
    announced = [rows for kind, rows in events if kind == "announced"]
    drawn = [rows for kind, rows in events if kind == "read"]
    assert drawn == announced[: len(drawn)] and len(announced) >= len(drawn) + 3
    assert [kind for kind, _ in events[:4]] == ["announced"] * 4


def test_a_file_that_shrinks_is_no_crash(tmp_path):
    path = store(tmp_path, COLOUR)
    table = Npy(path=path).open("train")[0]
    with open(path, "r+b") as file:
        file.truncate(300)
    with pytest.raises(ValueError, match="has become shorter"):
        table.rows(torch.arange(30))


@pytest.mark.parametrize(
    "array, options, message",
    [
        (COLOUR / 255, {}, r"float64\[40, 6, 4, 3\] cannot be images. Store them as uint8"),
        (COLOUR.reshape(40, -1), {}, "cannot be images"),
        (COLOUR[:0], {}, "cannot be images"),
        (np.zeros((4, 6, 4, 2), np.uint8), {}, r"is not \[N, height, width, 1 or 3\]"),
        (COLOUR, {"layout": "channels_first"}, r"is not \[N, height, width, 1 or 3\]"),
        (COLOUR[:, :3].copy(), {}, r"Give dataset\.layout=channels_last or channels_first"),
        (COLOUR, {"layout": "NHWC"}, r"dataset\.layout=NHWC is not known"),
        (np.asfortranarray(COLOUR), {}, "is stored by columns"),
        (COLOUR[:1], {}, "holds 1 image"),
        (COLOUR, {"labels": LABELS[:9]}, "cannot be the labels of 40 images"),
        (COLOUR, {"labels": LABELS / 2}, "cannot be the labels of 40 images"),
        (COLOUR, {"labels": LABELS * 2}, "holds the values 0, 2, 4. Number the classes"),
    ],
)
def test_refuses_from_the_headers(tmp_path, array, options, message):
    options = dict(options)
    if "labels" in options:
        options["labels_path"] = store(tmp_path, options.pop("labels"), "labels.npy")
    with pytest.raises(ValueError, match=message):
        Npy(path=store(tmp_path, array), **options)


def test_images_of_zeros_and_ones_are_refused(tmp_path):
    with pytest.raises(ValueError, match="holds only 0 and 1"):
        Npy(path=store(tmp_path, (COLOUR > 99).astype(np.uint8))).open("train")


def test_objects_are_refused_and_never_run(tmp_path):
    class Explosive:
        def __reduce__(self):
            return (tmp_path / "ran").touch, ()

    objects = np.empty((4, 6, 4), object)
    objects[:] = [[[Explosive()]]]
    with pytest.raises(ValueError, match="cannot be images"):
        Npy(path=store(tmp_path, objects, allow_pickle=True))
    path = store(tmp_path, COLOUR[:4], "images2.npy")
    labels = store(tmp_path, objects[:, 0, 0], "labels.npy", allow_pickle=True)
    with pytest.raises(ValueError, match="cannot be the labels"):
        Npy(path=path, labels_path=labels)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("damage", ["short", "text", "empty", "version"])
def test_damaged_files_are_refused(tmp_path, damage):
    path = tmp_path / "images.npy"
    sound = Path(store(tmp_path, COLOUR, "sound.npy")).read_bytes()
    path.write_bytes(
        {"short": sound[:-1], "text": b"no array", "empty": b"", "version": sound[:6] + b"\x09\x00" + sound[8:]}[damage]
    )
    with pytest.raises(ValueError, match=r"dataset\.path=.* is not a sound \.npy file .* Write it by numpy\.save"):
        Npy(path=str(path))


@pytest.mark.parametrize("path, message", [(None, "is not set"), ("/nowhere.npy", "no such file"), ("/", "no such")])
def test_other_paths_are_refused(path, message):
    with pytest.raises(ValueError, match=rf"dataset\.path.*{message}"):
        Npy(path=path)
