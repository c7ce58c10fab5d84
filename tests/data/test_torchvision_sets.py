"""Published sets: where they are found, how they are unpacked, and what is said when they cannot be had."""

import gzip
import hashlib
import pickle
import time
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image
from together import together

from genlab.data.torchvision_sets import Celeba, Cifar10, Emnist, FashionMnist, Kmnist, Mnist, Svhn

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 28, 28), np.uint8)
LABELS = np.arange(12, dtype=np.uint8) % 10


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes() + array.tobytes()


def write_idx_set(root, source, pack=lambda content: content, suffix=""):
    """Twelve images for either split; the source is told to expect as many."""
    for file in source.files():
        path = root / (file + suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pack(idx(IMAGES if "images" in file else LABELS + getattr(source, "first_label", 0))))
    source.sizes = {"train": 12, "validation": 12}
    return source


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A data folder with the archives of a tiny MNIST, whose md5 torchvision is told; no network."""
    import torchvision.datasets as datasets

    def pack(content):
        return gzip.compress(content, mtime=0)

    root = tmp_path / "data"
    write_idx_set(root, Mnist(data_dir=str(root)), pack, ".gz")
    md5 = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in (root / "MNIST" / "raw").iterdir()}
    monkeypatch.setattr(datasets.MNIST, "resources", [(name, md5[name]) for name, _ in datasets.MNIST.resources])

    def refuse(*_, **__):
        raise URLError("no network")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    return root


def tiny(root):
    source = Mnist(data_dir=str(root))
    source.sizes = {"train": 12, "validation": 12}
    return source


@pytest.mark.parametrize("kind", [Mnist, FashionMnist, Kmnist, Emnist, Cifar10, Svhn, Celeba])
def test_is_known_before_anything_is_read(kind):
    source = kind(data_dir="/nowhere")
    assert source.spec.num_classes == {Emnist: 47, Celeba: 0}.get(kind, 10)
    assert source.sizes["train"] > source.sizes["validation"] >= 10_000
    side = 64 if kind is Celeba else 20
    assert kind(data_dir="/nowhere", size=side).spec.shape[1:] == (side, side)
    with pytest.raises(ValueError, match=r"dataset\.size=0"):
        kind(data_dir="/nowhere", size=0)


@pytest.mark.parametrize("kind", [Mnist, FashionMnist, Kmnist])
def test_reads_unpacked_files(tmp_path, kind):
    source = write_idx_set(tmp_path, kind(data_dir=str(tmp_path)))
    fields = source.open("validation")[0].load()
    assert np.array_equal(fields["x"][:, 0], IMAGES) and np.array_equal(fields["label"], LABELS)
    assert fields["x"].dtype == torch.uint8 and fields["label"].dtype == torch.int64
    smaller = write_idx_set(tmp_path, kind(data_dir=str(tmp_path), size=16))
    assert smaller.open("train")[0].load()["x"].shape == (12, *smaller.spec.shape) == (12, 1, 16, 16)


def test_emnist_is_turned_upright_and_its_letters_start_at_zero(tmp_path):
    source = Emnist(data_dir=str(tmp_path), part="letters")
    source.first_label = 1
    fields = write_idx_set(tmp_path, source).open("train")[0].load()
    assert np.array_equal(fields["x"][:, 0], IMAGES.transpose(0, 2, 1)) and np.array_equal(fields["label"], LABELS)
    with pytest.raises(ValueError, match=r"dataset\.part=capitals is not known"):
        Emnist(data_dir="data", part="capitals")


def test_unpacks_beside_the_archives(published, cache):
    assert np.array_equal(tiny(published).open("train")[0].load()["x"][:, 0], IMAGES)
    assert sorted(path.name for path in published.iterdir()) == ["MNIST"]
    assert len(list((published / "MNIST" / "raw").iterdir())) == 8
    assert [path.name for path in cache.iterdir()] == ["tables"]


@pytest.fixture
def read_only(published):
    folders = (published / "MNIST" / "raw", published / "MNIST", published)
    for folder in folders:
        folder.chmod(0o555)
    yield published
    assert len(list(folders[0].iterdir())) == 4
    for folder in folders:
        folder.chmod(0o755)


def test_unpacks_into_the_cache_where_data_is_read_only(read_only, cache):
    fields = tiny(read_only).open("train")[0].load()
    (cache / "sentinel").touch()
    again = tiny(read_only).open("train")[0].load()
    assert np.array_equal(fields["x"][:, 0], IMAGES) and torch.equal(fields["x"], again["x"])
    assert sorted(path.name for path in cache.iterdir() if path.name != "tables") == ["MNIST", "sentinel"]


@pytest.mark.parametrize("place", ["", "/proc/genlab", __file__])
def test_unpacks_for_this_process_where_nothing_can_be_kept(place, read_only, monkeypatch):
    monkeypatch.setenv("GENLAB_CACHE", place)
    assert np.array_equal(tiny(read_only).open("train")[0].load()["x"][:, 0], IMAGES)


def test_jobs_that_start_together_download_once(tmp_path, monkeypatch):
    """Whichever comes second finds what the first put there."""
    log, root = tmp_path / "log", tmp_path / "data"

    def fetch(self, scratch):
        with log.open("a") as file:
            file.write("fetched\n")
        time.sleep(0.3)
        write_idx_set(Path(scratch), self)

    monkeypatch.setattr(Mnist, "fetch", fetch)
    found = together(lambda: tiny(root).open("train")[0].load()["x"].tolist())
    assert found == [IMAGES[:, None].tolist()] * 2
    assert log.read_text() == "fetched\n" and [path.name for path in root.iterdir()] == ["MNIST"]


def test_a_failed_download_says_what_to_do(published):
    """The message names each missing or damaged file with place, md5 and address, and the others not at all."""
    raw = published / "MNIST" / "raw"
    (raw / "train-labels-idx1-ubyte.gz").unlink()
    (raw / "t10k-labels-idx1-ubyte.gz").write_bytes(b"cut off")
    before = {path.name: path.read_bytes() for path in raw.iterdir()}
    with pytest.raises(ValueError) as caught:
        tiny(published).open("train")
    first, *lines = str(caught.value).splitlines()
    assert "no network" in first
    md5 = dict(tiny(published).torchvision.resources)
    for line, name in zip(lines, ("train-labels-idx1-ubyte.gz", "t10k-labels-idx1-ubyte.gz"), strict=True):
        assert all(
            part in line
            for part in (str(raw / name), md5[name], f"https://ossci-datasets.s3.amazonaws.com/mnist/{name}")
        )
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == before


@pytest.mark.parametrize(
    "content", [b"", idx(IMAGES)[:-1], b"\0\0\x0d" + idx(IMAGES)[3:], b"\0\0\x0a\3" + bytes(12), idx(IMAGES[:9])]
)
def test_damaged_files_and_others_than_the_published_are_refused(tmp_path, content):
    source = write_idx_set(tmp_path, Mnist(data_dir=str(tmp_path)))
    (tmp_path / "MNIST/raw/train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(ValueError, match=r"images of MNIST are damaged.* Remove .*train-images-idx3-ubyte,") as caught:
        source.open("train")
    assert str(tmp_path) in str(caught.value)


def test_cifar10(tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (10, 3, 32, 32), np.uint8)
    source = Cifar10(data_dir=str(tmp_path))
    source.sizes = {"train": 50, "validation": 10}
    (tmp_path / "cifar-10-batches-py").mkdir()
    for file in source.files():
        batch = {"data": pixels.reshape(10, -1), "labels": list(range(10)), "label_names": []}
        (tmp_path / file).write_bytes(pickle.dumps(batch))
    with pytest.raises(ValueError, match="images of CIFAR10 are damaged"):
        source.open("train")
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    fields = source.open("train")[0].load()
    assert np.array_equal(fields["x"][:10], pixels) and fields["label"][:10].tolist() == list(range(10))
    assert len(source.open("validation")[0]) == 10


def test_svhn(tmp_path, monkeypatch):
    from scipy.io import savemat

    pixels = np.random.default_rng(0).integers(0, 256, (6, 3, 32, 32), np.uint8)
    for part in ("train", "test"):
        labels = np.array([[10], [1], [2], [3], [4], [9]], np.uint8)
        savemat(tmp_path / f"{part}_32x32.mat", {"X": pixels.transpose(2, 3, 1, 0), "y": labels})
    source = Svhn(data_dir=str(tmp_path))
    source.sizes = {"train": 6, "validation": 6}
    with pytest.raises(ValueError, match=r"images of SVHN are damaged.*test_32x32\.mat"):
        source.open("validation")
    monkeypatch.setattr("torchvision.datasets.svhn.check_integrity", lambda *_: True)
    fields = source.open("train")[0].load()
    assert np.array_equal(fields["x"], pixels) and fields["label"].tolist() == [0, 1, 2, 3, 4, 9]


def test_celeba(tmp_path):
    images = tmp_path / "celeba" / "img_align_celeba"
    images.mkdir(parents=True)
    for index in range(6):
        Image.new("RGB", (178, 218), (40 * index, 0, 0)).save(images / f"{index}.jpg")
    lines = [f"{index}.jpg {part}" for index, part in enumerate([0, 0, 1, 0, 2, 1])]
    (tmp_path / "celeba" / "list_eval_partition.txt").write_text("\n".join(lines))
    source = Celeba(data_dir=str(tmp_path))
    with pytest.raises(ValueError, match="lists 3 images for train, not the published 162770"):
        source.open("train")
    source.sizes = {"train": 3, "validation": 2}
    images = [source.open(split)[0].load()["x"] for split in source.sizes]
    assert images[0].shape == (3, *source.spec.shape) == (3, 3, 64, 64)
    assert [round(shade / 40) for part in images for shade in part[:, 0, 32, 32].tolist()] == [0, 1, 3, 2, 5]


def test_data_dir_must_be_a_folder(tmp_path):
    (tmp_path / "data").touch()
    with pytest.raises(ValueError, match="data is not a folder"):
        Mnist(data_dir=str(tmp_path / "data"))
