"""Published datasets in the form that torchvision downloads and checks: MNIST and its kin, CIFAR-10, SVHN, CelebA.

A set is read from `data_dir`, else from the cache; where neither holds it unpacked, torchvision unpacks the published
archives that lie in `data_dir`, or downloads them. The result goes to `data_dir`, or to the cache where that is
read-only. Training takes the published training split, validation the published test split (CelebA's own
validation split).

References:
    Gradient-based learning applied to document recognition (LeCun, Bottou, Bengio, Haffner, 1998)
    Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017) https://arxiv.org/abs/1708.07747
    Deep Learning for Classical Japanese Literature (Clanuwat et al., 2018) https://arxiv.org/abs/1812.01718
    EMNIST: an extension of MNIST to handwritten letters (Cohen et al., 2017) https://arxiv.org/abs/1702.05373
    Learning Multiple Layers of Features from Tiny Images (Krizhevsky, 2009)
    Reading Digits in Natural Images with Unsupervised Feature Learning (Netzer et al., 2011)
    Deep Learning Face Attributes in the Wild (Liu, Luo, Wang, Tang, 2015) https://arxiv.org/abs/1411.7766
"""

import errno
import os
import pickle
import socket
import tempfile
from abc import abstractmethod
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from genlab.data.cache import cache_dir, kept
from genlab.data.checks import check_choice, check_range, check_table
from genlab.data.pictures import PictureFiles, picture_shape, resize
from genlab.data.source import ArrayExamples, Examples, Source
from genlab.data.spec import DataSpec
from genlab.files import one_maker

DOWNLOAD_TIMEOUT = 30.0
"""Seconds that a server may stay silent."""

LARGEST_FILE = 2**30
"""Bytes of a file that is read whole; the largest that is published has half of that."""


class Archive(NamedTuple):
    """A published file: where it comes from, its md5, and its place below `data_dir`."""

    url: str
    md5: str
    place: str


class PublishedSet(Source):
    """What the sets share: find the files, or have torchvision fetch them."""

    name: ClassVar[str]
    """Of torchvision's class."""

    def __init__(self, data_dir: str):
        self.data_dir = Path(data_dir).expanduser()
        if self.data_dir.exists() and not self.data_dir.is_dir():
            raise ValueError(f"data_dir={data_dir} is not a folder. Give the folder that holds the datasets.")

    @abstractmethod
    def files(self) -> list[str]:
        """Paths below the root that are there once the set is unpacked."""

    @abstractmethod
    def archives(self) -> list[Archive]:
        """The published files that torchvision unpacks."""

    @abstractmethod
    def fetch(self, root: str) -> None:
        """Have torchvision download what `root` lacks, and unpack it there."""

    @property
    def torchvision(self) -> Any:
        """torchvision's class; imported when needed only, as that takes longer than reading an unpacked set."""
        import torchvision

        return getattr(torchvision.datasets, self.name)

    def lies_in(self, root: Path) -> bool:
        """Whether `root` holds the unpacked set."""
        return all((root / file).exists() for file in self.files())

    def root(self) -> Path:
        """The folder that holds the unpacked set, after unpacking it where need be."""
        target = self.data_dir if writable(self.data_dir / self.files()[0]) else cache_dir()
        for root in (self.data_dir, target, cache_dir()):
            if self.lies_in(root):
                return root
        with one_maker(target / self.name):
            if not self.lies_in(target):
                self._unpack(target)
        return target

    def _unpack(self, target: Path) -> None:
        """Have torchvision put the set into `target`, from the archives that are there or downloads."""
        sound = self._sound_archives(target)
        timeout = socket.getdefaulttimeout()
        socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
        try:
            target.mkdir(parents=True, exist_ok=True)
            # Without locks, jobs that start together all come here. Each works in a folder of its own and moves the
            # results into place whole, so that no other ever sees half a file.
            with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=target) as scratch:
                for place, path in sound.items():
                    link = Path(scratch, place)
                    link.parent.mkdir(parents=True, exist_ok=True)
                    link.symlink_to(path.absolute())
                self.fetch(scratch)
                merge(Path(scratch), target)
        except (OSError, RuntimeError, ImportError) as error:
            raise ValueError(self._explain(sound, target, error)) from error
        finally:
            socket.setdefaulttimeout(timeout)

    def _sound_archives(self, target: Path) -> dict[str, Path]:
        """Published files that are there already, with the published md5, by their place."""
        from torchvision.datasets.utils import check_integrity

        found = {}
        for root in dict.fromkeys((target, self.data_dir)):
            for archive in self.archives():
                if check_integrity(root / archive.place, archive.md5):
                    found[archive.place] = root / archive.place
        return found

    def _explain(self, sound: dict[str, Path], target: Path, error: Exception) -> str:
        reason = " ".join(str(error).split())[:200]
        missing = [archive for archive in self.archives() if archive.place not in sound]
        if not missing:
            return f"{self.name} cannot be unpacked into {target} ({reason}). Set data_dir to a folder with room."
        wanted = "".join(f"\n  {target / place}  (md5 {md5}) from {url}" for url, md5, place in missing)
        return f"{self.name} cannot be downloaded ({reason}). Put these files there by hand:{wanted}"


class LabelledSet(PublishedSet):
    """Pictures and labels that fit in memory: `image` uint8 [N, C, size, size], `label` int64 [N]."""

    def __init__(self, data_dir: str, native: DataSpec, sizes: dict[str, int], size: int | None):
        super().__init__(data_dir)
        if size is not None:
            check_range("size", size, 1)
        self.native, self.sizes, self.size = native, sizes, size
        self.spec = native if size is None else replace(native, shape=(native.shape[0], size, size))
        if size is not None:
            check_table(sizes, self.spec.shape)

    @abstractmethod
    def read(self, root: Path, split: str) -> tuple[Tensor, Tensor]:
        """Pictures, uint8 [N, C, H, W], and labels, int64 [N], of an unpacked set."""

    def open(self, split: str) -> list[Examples]:
        root = self.root()
        layout = {
            "image": (torch.uint8, (self.sizes[split], *self.spec.shape)),
            "label": (torch.int64, (self.sizes[split],)),
        }
        request = {"set": self.name, "files": self.files(), "size": self.size, "split": split}
        files = [root / file for file in self.files()]
        return [ArrayExamples(**kept(request, files, layout, lambda: self._read_resized(root, split)))]

    def _read_resized(self, root: Path, split: str) -> dict[str, Tensor]:
        images, labels = self.read(root, split)
        published = (self.sizes[split], *self.native.shape)
        if images.shape != published or labels.shape != published[:1]:
            raise ValueError(
                f"{root} holds pictures {list(images.shape)} and labels {list(labels.shape)} for {self.name} {split}, "
                f"not the published {list(published)}. Remove {', '.join(self.files())} to have them unpacked again."
            )
        return {"image": resize(images, self.size), "label": labels}


class IdxSet(LabelledSet):
    """Grey pictures of 28x28 pixels in MNIST's own file format.

    prefixes: how the names of a split's files begin.
    """

    prefixes: dict[str, str]

    def __init__(self, data_dir: str, num_classes: int, sizes: dict[str, int], size: int | None):
        super().__init__(data_dir, DataSpec((1, 28, 28), num_classes), sizes, size)

    def files(self) -> list[str]:
        kinds = ("images-idx3-ubyte", "labels-idx1-ubyte")
        return [f"{self.name}/raw/{prefix}-{kind}" for prefix in self.prefixes.values() for kind in kinds]

    def read(self, root: Path, split: str) -> tuple[Tensor, Tensor]:
        images, labels = (read_idx(root / file) for file in self.files() if self.prefixes[split] in file)
        return images[:, None], labels.long()


class Mnist(IdxSet):
    """Handwritten digits: 60,000 and 10,000 grey pictures of 28x28 pixels in ten classes.

    data_dir: holds MNIST/raw.
    size: height and width to resize to once; None keeps 28.
    """

    name = "MNIST"
    prefixes = {"train": "train", "validation": "t10k"}

    def __init__(self, *, data_dir: str, size: int | None = None):
        super().__init__(data_dir, 10, {"train": 60_000, "validation": 10_000}, size)

    def archives(self) -> list[Archive]:
        mirror = self.torchvision.mirrors[0]
        return [Archive(mirror + file, md5, f"{self.name}/raw/{file}") for file, md5 in self.torchvision.resources]

    def fetch(self, root: str) -> None:
        self.torchvision(root, download=True)


class FashionMnist(Mnist):
    """Clothes: 60,000 and 10,000 grey pictures of 28x28 pixels in ten classes; options as `Mnist`."""

    name = "FashionMNIST"


class Kmnist(Mnist):
    """Cursive Japanese characters: 60,000 and 10,000 grey pictures of 28x28 pixels in ten classes; as `Mnist`."""

    name = "KMNIST"


class Emnist(IdxSet):
    """Handwritten letters and digits, grey, 28x28 pixels.

    part: which of the published arrangements: byclass (62 classes), bymerge, balanced (47), letters (26), digits,
        mnist (10).
    data_dir: holds EMNIST/raw.
    size: height and width to resize to once; None keeps 28.
    """

    name = "EMNIST"
    parts = {  # classes, training pictures, test pictures
        "byclass": (62, 697_932, 116_323),
        "bymerge": (47, 697_932, 116_323),
        "balanced": (47, 112_800, 18_800),
        "letters": (26, 124_800, 20_800),
        "digits": (10, 240_000, 40_000),
        "mnist": (10, 60_000, 10_000),
    }

    def __init__(self, *, data_dir: str, part: str = "balanced", size: int | None = None):
        check_choice("part", part, tuple(self.parts))
        num_classes, train, validation = self.parts[part]
        self.part = part
        self.prefixes = {"train": f"emnist-{part}-train", "validation": f"emnist-{part}-test"}
        super().__init__(data_dir, num_classes, {"train": train, "validation": validation}, size)

    def archives(self) -> list[Archive]:
        return [Archive(self.torchvision.url, self.torchvision.md5, f"{self.name}/raw/gzip.zip")]

    def fetch(self, root: str) -> None:
        self.torchvision(root, split=self.part, download=True)

    def read(self, root: Path, split: str) -> tuple[Tensor, Tensor]:
        images, labels = super().read(root, split)
        # The published files hold every picture transposed, and number the letters from 1.
        return images.transpose(-1, -2).contiguous(), labels - int(self.part == "letters")


class Cifar10(LabelledSet):
    """Photographs of ten classes of things: 50,000 and 10,000 colour pictures of 32x32 pixels.

    data_dir: holds cifar-10-batches-py.
    size: height and width to resize to once; None keeps 32.
    """

    name = "CIFAR10"

    def __init__(self, *, data_dir: str, size: int | None = None):
        spec = DataSpec((3, 32, 32), num_classes=10)
        super().__init__(data_dir, spec, {"train": 50_000, "validation": 10_000}, size)

    def files(self) -> list[str]:
        names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"]
        return [f"cifar-10-batches-py/{name}" for name in names]

    def archives(self) -> list[Archive]:
        return [Archive(self.torchvision.url, self.torchvision.tgz_md5, self.torchvision.filename)]

    def fetch(self, root: str) -> None:
        self.torchvision(root, download=True)

    def read(self, root: Path, split: str) -> tuple[Tensor, Tensor]:
        from torchvision.datasets.utils import check_integrity

        images, labels = [], []
        for name, md5 in self.torchvision.train_list if split == "train" else self.torchvision.test_list:
            path = root / "cifar-10-batches-py" / name
            if not check_integrity(path, md5):
                raise ValueError(f"{path} is damaged. Remove {path.parent} to have it unpacked again.")
            batch = read_arrays(path)
            images.append(batch["data"])
            labels += batch["labels"]
        return torch.from_numpy(np.concatenate(images)).view(-1, *self.native.shape), torch.tensor(labels)


class Svhn(LabelledSet):
    """House numbers photographed from the street, cut into digits: 73,257 and 26,032 colour pictures of 32x32 pixels.

    data_dir: holds train_32x32.mat and test_32x32.mat.
    size: height and width to resize to once; None keeps 32.
    """

    name = "SVHN"
    parts = {"train": "train", "validation": "test"}

    def __init__(self, *, data_dir: str, size: int | None = None):
        spec = DataSpec((3, 32, 32), num_classes=10)
        super().__init__(data_dir, spec, {"train": 73_257, "validation": 26_032}, size)

    def files(self) -> list[str]:
        return [f"{part}_32x32.mat" for part in self.parts.values()]

    def archives(self) -> list[Archive]:
        published = (self.torchvision.split_list[part] for part in self.parts.values())
        return [Archive(url, md5, file) for url, file, md5 in published]

    def fetch(self, root: str) -> None:
        for part in self.parts.values():
            self.torchvision(root, split=part, download=True)

    def read(self, root: Path, split: str) -> tuple[Tensor, Tensor]:
        try:
            table = self.torchvision(root, split=self.parts[split])
        except RuntimeError as error:
            raise ValueError(f"{root}/{self.parts[split]}_32x32.mat is damaged. Remove it to reload it.") from error
        return torch.from_numpy(table.data).contiguous(), torch.from_numpy(table.labels)


class Celeba(PublishedSet):
    """Aligned faces of celebrities: 162,770 and 19,867 colour pictures without labels, decoded as they are drawn.

    data_dir: holds celeba/img_align_celeba and celeba/list_eval_partition.txt.
    size: height and width, or [height, width].
    crop: side in pixels of the central square of the 178x218 files; None takes the largest that fits.
    """

    name = "CelebA"
    parts = {"train": "0", "validation": "1"}

    def __init__(self, *, data_dir: str, size: int | list[int] = 64, crop: int | None = 148):
        super().__init__(data_dir)
        if crop is not None:
            check_range("crop", crop, 1, 178)
        self.crop = crop
        self.spec = DataSpec(picture_shape(3, size))
        self.sizes = {"train": 162_770, "validation": 19_867}

    def files(self) -> list[str]:
        return ["celeba/img_align_celeba", "celeba/list_eval_partition.txt"]

    def archives(self) -> list[Archive]:
        drive = "https://drive.google.com/uc?id="
        return [Archive(drive + key, md5, f"celeba/{file}") for key, md5, file in self.torchvision.file_list]

    def fetch(self, root: str) -> None:
        self.torchvision(root, download=True)

    def open(self, split: str) -> list[Examples]:
        pictures, partition = (self.root() / file for file in self.files())
        if partition.stat().st_size > LARGEST_FILE:
            raise ValueError(f"{partition} is larger than any that is published. Remove it to fetch it again.")
        # A line is "000001.jpg 0", and 0, 1, 2 are training, validation and test.
        lines = (line.split() for line in partition.read_text().splitlines())
        paths = [str(pictures / name) for name, part in lines if part == self.parts[split] and "/" not in name]
        if len(paths) != self.sizes[split]:
            raise ValueError(
                f"{partition} lists {len(paths)} pictures for {split}, not the published {self.sizes[split]}. "
                "Remove it to fetch it again."
            )
        return [PictureFiles("image", paths, self.spec.shape, crop=self.crop)]


def writable(path: Path) -> bool:
    """Whether files can be made in the closest existing folder above `path`.

    The mode is asked too: the superuser may write anywhere, yet a folder without any write bit is meant to stay.
    """
    while not path.is_dir():
        path = path.absolute().parent
    return os.access(path, os.W_OK) and bool(path.stat().st_mode & 0o222)


def merge(source: Path, target: Path) -> None:
    """Move all that lies in `source` into `target`, each file or new folder whole; what is there already stays."""
    for entry in source.iterdir():
        place = target / entry.name
        if entry.is_dir() and place.is_dir():
            merge(entry, place)
        elif not place.exists():
            try:
                os.replace(entry, place)
            except OSError as error:
                # Another job put the same folder there since we looked.
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise


def read_idx(path: Path) -> Tensor:
    """A file in MNIST's idx format: 2 zero bytes, type (8: uint8), number of dimensions, big-endian sizes, data."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(4)
        dimensions = head[3] if len(head) == 4 else 0
        shape = tuple(np.frombuffer(file.read(4 * dimensions), ">i4").tolist()) if 1 <= dimensions <= 3 else ()
        sound = len(shape) == dimensions > 0 and head[2] == 8 and min(shape) >= 0
        if not sound or prod(shape) != size - file.tell() or size > LARGEST_FILE:
            raise ValueError(f"{path} is damaged. Remove it to have it unpacked again.")
        return torch.from_numpy(np.fromfile(file, np.uint8).reshape(shape))


class _Arrays(pickle.Unpickler):
    """Reads the lists and arrays of the pickles that CIFAR-10 is published as, and nothing that could run."""

    _names = {("multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype")}

    def find_class(self, module: str, name: str) -> Any:
        if (module.removeprefix("numpy._core.").removeprefix("numpy.core."), name) not in self._names:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return super().find_class(module.replace("numpy.core.", "numpy._core."), name)


def read_arrays(path: Path) -> dict[str, Any]:
    """A batch of CIFAR-10: "data" uint8 [N, 3072], "labels" a list. `ValueError` where a pickle holds anything else."""
    try:
        with path.open("rb") as file:
            batch = _Arrays(file, encoding="latin1").load()
        return {"data": np.asarray(batch["data"], np.uint8), "labels": list(batch["labels"])}
    except Exception as error:  # unpickling raises whatever the bytes lead to
        raise ValueError(f"{path} is damaged ({error}). Remove {path.parent} to have it unpacked again.") from error
