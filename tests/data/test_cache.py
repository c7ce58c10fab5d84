"""What was made before is read back to the bit; whatever is wrong with it, it is made again."""

import errno
import fcntl
import logging
import os
import time
from contextlib import contextmanager
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image
from together import together

from genlab.data import cache
from genlab.data.cache import cache_dir, cached
from genlab.data.folders import ImageFolder
from genlab.data.shapes import Shapes
from genlab.data.stripes import Stripes
from genlab.system import files, tensor_file


def table():
    return {
        "x": torch.arange(30).byte().view(5, 1, 3, 2),
        "label": torch.arange(5) + 2**40,
        "factors": torch.linspace(0, 1, 10).view(5, 2),
    }


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The cache; everything is worth keeping."""
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "WORTH_SECONDS", -1.0)
    monkeypatch.setattr(cache, "WORTH_SPEED", float("inf"))
    cache._warn.cache_clear()
    return tmp_path / "cache" / "tables"


class Making:
    """Asks for a table and counts how often it had to be made."""

    count = 0

    def make(self):
        self.count += 1
        return table()

    def __call__(self, request=("x",)):
        found = cached({"request": list(request)}, [], self.make)
        assert list(found) == list(table()), "the first field of a batch is its images"
        for name, value in table().items():
            assert found[name].dtype == value.dtype and torch.equal(found[name], value)
        return self.count


@pytest.fixture
def making():
    return Making()


def entry(folder):
    (found,) = folder.iterdir()
    return found


def test_a_table_is_made_once(making, folder):
    assert [making(), making()] == [1, 1]
    strange = {
        "a.number": torch.tensor(7),
        "an.empty.one": torch.empty(0).long(),
        "no.rows": torch.empty(0, 3),
        "doubles": torch.rand(2, 3).double(),
        "a.view": torch.rand(3, 2).T,
    }
    cached({"request": "strange"}, [], lambda: strange)
    found = cached({"request": "strange"}, [], lambda: pytest.fail("made again"))
    assert found.keys() == strange.keys()
    for name, value in strange.items():
        assert found[name].dtype == value.dtype and torch.equal(found[name], value)
    assert [path.suffix for path in folder.iterdir()] == [".safetensors"] * 2


def test_what_is_made_at_once_is_not_kept(making, folder, monkeypatch):
    """Reading it back would take as long as making it again."""
    monkeypatch.setattr(cache, "WORTH_SECONDS", 60.0)
    assert [making(), making()] == [1, 2] and not folder.exists()
    monkeypatch.setattr(cache, "WORTH_SECONDS", -1.0)
    assert [making(), making()] == [3, 3]
    monkeypatch.setattr(cache, "WORTH_SPEED", 1e-9)
    assert [making(["y"]), making(["y"])] == [4, 5], "numbers that are made faster than they are read"


def test_another_request_is_another_table(making, monkeypatch):
    assert [making(), making(["y"]), making()] == [1, 2, 2]
    monkeypatch.setattr(torch, "__version__", "0.1")
    cache._code.cache_clear()
    assert making(["y"]) == 3, "other code may render other images"
    cache._code.cache_clear()


def test_what_a_run_writes_into_its_table_stays_in_the_run(making):
    making()
    cached({"request": ["x"]}, [], making.make)["x"].zero_()
    assert making() == 1


def flip_a_bit(entry):
    content = bytearray(entry.read_bytes())
    content[-1] ^= 1
    entry.write_bytes(content)


def link(entry):
    entry.rename(entry.parent.parent / "elsewhere")
    entry.symlink_to(entry.parent.parent / "elsewhere")


def pipe(entry):
    entry.unlink()
    os.mkfifo(entry)


def holds(table, **metadata):
    """Another file with a valid checksum."""
    return lambda entry: tensor_file.write(entry, table, tensor_file.read(entry)[1] | metadata)


DAMAGE = {
    "bit": flip_a_bit,
    "text": lambda entry: entry.write_text("no tensors"),
    "another key": holds(table(), key="another"),
    "fewer fields": holds({"label": torch.arange(5)}),
    "link": link,
    "pipe": pipe,
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_entry_is_made_again(kind, making, folder, caplog):
    making()
    DAMAGE[kind](entry(folder))
    with caplog.at_level(logging.INFO, "genlab"):
        assert making() == 2
    (line,) = caplog.messages
    assert str(entry(folder)) in line and "damaged" in line
    assert making() == 2, "and put in its place"


@pytest.mark.parametrize("where", ["", "/dev/null"])
def test_the_cache_can_be_turned_off(where, making, monkeypatch, caplog, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENLAB_CACHE", where)
    assert [making(), making()] == [1, 2]
    assert not caplog.messages and not list(tmp_path.iterdir())


@contextmanager
def without_rights():
    """Root may do anything, so the block runs as another user."""
    if os.geteuid() == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(os.getuid())


def of_another_user(folder):
    folder.mkdir(mode=0)
    return folder


def a_file(folder):
    folder.touch()
    return folder


OUT_OF_REACH = {
    "made by nobody": lambda folder: "/proc/genlab",
    "of another user": of_another_user,
    "in a folder of another user": lambda folder: of_another_user(folder) / "cache",
    "a file": a_file,
    "below a file": lambda folder: a_file(folder) / "cache",
    "a name too long": lambda folder: folder / ("x" * 300),
    "no such user": lambda folder: "~nobody-of-this-name/cache",
}


@pytest.mark.parametrize("kind", OUT_OF_REACH)
def test_without_a_cache_it_is_made_each_time_and_one_line_says_so(kind, making, monkeypatch, caplog, tmp_path):
    where = OUT_OF_REACH[kind](tmp_path / "place")
    monkeypatch.setenv("GENLAB_CACHE", str(where))
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.rglob("*"))
    with without_rights():
        assert [making(), making()] == [1, 2]
    (line,) = caplog.messages
    assert str(where) in line and "cannot be used" in line and "GENLAB_CACHE=" in line
    assert set(tmp_path.rglob("*")) == before


def test_a_full_disk_leaves_nothing_behind(making, folder, monkeypatch, caplog):
    def full(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tensor_file, "save_file", full)
    with caplog.at_level(logging.INFO, "genlab"):
        assert making() == 1
        assert making() == 2
    assert caplog.text.count("No space left on device") == 1 and not folder.exists()


def test_entries_out_of_use_make_room(making, folder, monkeypatch):
    making(["old"])
    old = entry(folder)
    making(["used"])
    (used,) = set(folder.iterdir()) - {old}
    os.utime(old, (2, 2))
    os.utime(used, (1, 1))
    making(["used"])  # counts as use
    numbers = sum(value.nbytes for value in table().values())
    monkeypatch.setattr(cache, "MOST_BYTES", used.stat().st_size + numbers)
    (folder / "folder of a former version").mkdir()
    os.utime(folder / "folder of a former version", (0, 0))
    making(["new"])
    assert used.exists() and len(list(folder.iterdir())) == 2
    monkeypatch.setattr(cache, "MOST_BYTES", 10)
    making(["huge"])
    assert len(list(folder.iterdir())) == 2, "what could never fit drives nothing out"


@pytest.mark.parametrize("locks", [True, False])
def test_jobs_that_start_together_make_a_table_once_or_without_locks_each_its_own(locks, folder, tmp_path, monkeypatch):
    if not locks:
        monkeypatch.setattr(fcntl, "flock", Mock(side_effect=OSError(errno.ENOLCK, "No locks available")))

    def make():
        with (tmp_path / "log").open("a") as file:
            file.write("made\n")
        time.sleep(0.3)
        return table()

    for found in together(lambda: cached({"request": ["x"]}, [], make)["x"].tolist(), 3):
        assert found == table()["x"].tolist()
    assert (tmp_path / "log").read_text() == "made\n" * (1 if locks else 3)
    assert entry(folder) and Making()() == 0


def test_an_entry_of_a_folder_that_cannot_be_written_is_read(making, folder, monkeypatch):
    making()
    monkeypatch.setattr(files.FileLock, "acquire", Mock(side_effect=OSError(errno.EROFS, "Read-only file system")))
    monkeypatch.setattr(os, "utime", Mock(side_effect=OSError(errno.EROFS, "Read-only file system")))
    assert [making(), making(["y"])] == [1, 2]


def images(root):
    for label in "ab":
        (root / label).mkdir(parents=True)
        for number in range(6):
            noise = np.random.default_rng([ord(label), number]).integers(0, 256, (9, 11, 3), np.uint8)
            Image.fromarray(noise).save(root / label / f"{number}.png")
    return {"path": str(root), "size": 8}


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: Shapes(size=16, num_images=40),
        lambda folder: Stripes(size=16, num_train=20, num_validation=5),
        lambda folder: ImageFolder(**images(folder)),
    ],
    ids=["shapes", "stripes", "folder"],
)
def test_sources_give_the_same_from_the_cache(make, folder, tmp_path):
    source = make(tmp_path / "images")
    first, second = (
        [table.load() for split in ("train", "validation") for table in source.open(split)] for _ in range(2)
    )
    assert list(folder.iterdir())
    for one, other in zip(first, second, strict=True):
        assert list(one) == list(other)
        assert all(torch.equal(one[name], other[name]) and one[name].dtype == other[name].dtype for name in one)


def test_a_changed_image_is_seen(folder, tmp_path):
    options = images(tmp_path / "images")
    before = ImageFolder(**options).open("train")[0].load()["x"]
    for path in (tmp_path / "images").rglob("*.png"):
        Image.new("RGB", (9, 11), "white").save(path)
    after = ImageFolder(**options).open("train")[0].load()["x"]
    assert after.min() == 255 and not torch.equal(before, after)


def test_cache_dir(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_dir() == tmp_path / "cache"
    monkeypatch.delenv("GENLAB_CACHE")
    assert str(cache_dir()) == "/x/genlab"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert str(cache_dir()) == "/home/someone/.cache/genlab"
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # for a user without an entry in the password file
    assert cache_dir() is None and cache.writable_dir().is_dir()


def test_weights_are_kept_where_they_are_or_where_they_can_be(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert cache.weights_file("a.pth") == tmp_path / "torch/hub/checkpoints/a.pth"
    monkeypatch.setenv("TORCH_HOME", "/proc/torch")
    assert cache.weights_file("a.pth") == tmp_path / "cache/a.pth"
    monkeypatch.setenv("GENLAB_CACHE", "/proc/genlab")
    assert cache.weights_file("a.pth").parent == files.temporary_folder()
