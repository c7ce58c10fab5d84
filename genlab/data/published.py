"""Base classes for published datasets: find their files, or have torchvision unpack or download them.

A dataset is read from `data_dir`, else from the cache. If neither holds it unpacked, torchvision unpacks the published
archives in `data_dir`, or downloads them. The result goes to `data_dir`, or to the cache if `data_dir` is read-only, or
to a temporary folder if both are.
"""

import errno
import os
import tempfile
from abc import abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from torch import Tensor

from genlab.contract.data import DataSpec, Field
from genlab.contract.settings import Place
from genlab.data.cache import cache_dir, cached, writable_dir
from genlab.data.checks import check_range, check_table
from genlab.data.images import resize
from genlab.data.source import ArrayExamples, Examples, Source
from genlab.system.download import socket_timeout
from genlab.system.files import build_once

LARGEST_FILE = 2**30
"""Maximum bytes of a file that is read at once; the largest published one is half that size."""

_IMPORT_SECONDS = 1.0
"""What importing torchvision takes, which a process that finds a table in the cache need not do."""

_DAMAGE = (AssertionError, LookupError, RuntimeError, TypeError, ValueError)
"""Errors of torchvision's readers."""


class Archive(NamedTuple):
    """A published file: its URL, its MD5, and its path below `data_dir`."""

    url: str
    md5: str
    place: str


class PublishedSet(Source):
    """Base class: finds the files of a dataset, or has torchvision fetch them."""

    name: ClassVar[str]
    """Name of torchvision's class."""

    def __init__(self, data_dir: Place):
        self.data_dir = Path(data_dir).expanduser()
        if self.data_dir.exists() and not self.data_dir.is_dir():
            raise ValueError(f"data_dir={data_dir} is not a folder. Give the folder that holds the datasets.")

    @abstractmethod
    def files(self) -> list[str]:
        """Paths below the root that exist once the dataset is unpacked."""

    @abstractmethod
    def archives(self) -> list[Archive]:
        """The published files that torchvision unpacks."""

    def fetch(self, root: str) -> None:
        """Have torchvision download what `root` lacks, and unpack it there."""
        self.torchvision(root, download=True)

    @property
    def torchvision(self) -> Any:
        """torchvision's class, imported lazily: that takes longer than reading an unpacked dataset."""
        import torchvision

        return getattr(torchvision.datasets, self.name)

    def lies_in(self, root: Path) -> bool:
        """Whether `root` holds the unpacked dataset."""
        return all(os.path.exists(root / file) for file in self.files())  # Path.exists fails without rights

    def unpacked(self) -> Path | None:
        """The folder that holds the unpacked dataset, if there is one."""
        return next((root for root in (self.data_dir, cache_dir()) if root and self.lies_in(root)), None)

    def root(self) -> Path:
        """The folder that holds the unpacked dataset, unpacked first if needed."""
        if root := self.unpacked():
            return root
        target = self.data_dir if writable(self.data_dir / self.files()[0]) else writable_dir()
        with build_once(target / self.name):
            if not self.lies_in(target):
                self._unpack(target)
        return target

    def _unpack(self, target: Path) -> None:
        """Have torchvision unpack the dataset into `target`, from existing archives or downloads."""
        intact = self._intact_archives(target)
        try:
            target.mkdir(parents=True, exist_ok=True)
            # Without locks, jobs that start together all get here. Each works in its own folder and moves complete
            # results into place, so that no job ever sees a partial file.
            with socket_timeout(), tempfile.TemporaryDirectory(prefix=".unpacking-", dir=target) as scratch:
                for place, path in intact.items():
                    link = Path(scratch, place)
                    link.parent.mkdir(parents=True, exist_ok=True)
                    link.symlink_to(path.absolute())
                self.fetch(scratch)
                merge(Path(scratch), target)
        except (OSError, RuntimeError, ImportError) as error:
            raise ValueError(self._explain(intact, target, error)) from error

    def _intact_archives(self, target: Path) -> dict[str, Path]:
        """Existing files with the published MD5, by their path below `data_dir`."""
        from torchvision.datasets.utils import check_integrity

        found = {}
        for root in dict.fromkeys((target, self.data_dir)):
            for archive in self.archives():
                if check_integrity(root / archive.place, archive.md5):
                    found[archive.place] = root / archive.place
        return found

    def _explain(self, intact: dict[str, Path], target: Path, error: Exception) -> str:
        reason = " ".join(str(error).split())[:200]
        missing = [archive for archive in self.archives() if archive.place not in intact]
        if not missing:
            return f"{self.name} cannot be unpacked into {target} ({reason}). Set data_dir to a folder with room."
        wanted = "".join(f"\n  {target / place}  (md5 {md5}) from {url}" for url, md5, place in missing)
        return f"{self.name} cannot be downloaded ({reason}). Put these files there by hand:{wanted}"


class LabelledSet(PublishedSet):
    """Images and labels that fit in memory: `x` uint8 [N, C, size, size], `label` int64 [N].

    native: the images as published. size: height and width to resize to once; None keeps the published ones.
    """

    native: DataSpec

    def __init__(self, *, data_dir: Place, size: int | None = None):
        super().__init__(data_dir)
        self.size, self.spec = size, self.native
        if size is not None:
            check_range("size", size, 1)
            image = Field("image", (self.native.shape[0], size, size))
            self.spec = replace(self.native, fields={**self.native.fields, "x": image})
            check_table(self.sizes, image.shape)

    @abstractmethod
    def read(self, root: Path, split: str) -> tuple[Tensor, Tensor]:
        """Images uint8 [N, C, H, W] and labels int64 [N] of an unpacked dataset, as torchvision reads them."""

    def open(self, split: str) -> list[Examples]:
        root = self.root()
        request = {"x": self.name, "files": self.files(), "size": self.size, "split": split}
        files = [root / file for file in self.files()]
        table = cached(request, files, lambda: self._read_resized(root, split), _IMPORT_SECONDS)
        return [ArrayExamples(**table)]

    def _read_resized(self, root: Path, split: str) -> dict[str, Tensor]:
        published = (self.sizes[split], *self.native.shape)
        try:
            if any((root / file).stat().st_size > LARGEST_FILE for file in self.files()):
                raise ValueError(f"a file has more than {LARGEST_FILE} bytes")
            images, labels = self.read(root, split)
            if images.shape != published or labels.shape != published[:1]:
                raise ValueError(f"images {images.shape}, labels {labels.shape}")
        except _DAMAGE as error:
            raise ValueError(
                f"{root}: the {split} images of {self.name} are damaged or differ from the published {list(published)} "
                f"({str(error)[:100]}). Remove {', '.join(self.files())} to have them unpacked again."
            ) from error
        return {"x": resize(images, self.size), "label": labels}


def writable(path: Path) -> bool:
    """Whether files can be created in the nearest existing folder above `path`.

    The mode is checked too: root may write anywhere, but a folder without any write bit is meant to be read-only.
    """
    while not os.path.isdir(path):
        path = path.absolute().parent
    return os.access(path, os.W_OK) and bool(path.stat().st_mode & 0o222)


def merge(source: Path, target: Path) -> None:
    """Move the contents of `source` into `target`, each file or new folder as a whole; existing files stay."""
    for entry in source.iterdir():
        place = target / entry.name
        if entry.is_dir() and place.is_dir():
            merge(entry, place)
        elif not place.exists():
            try:
                os.replace(entry, place)
            except OSError as error:
                # Another job created the same folder after the check.
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise


def is_ready(source: Source) -> bool:
    """Whether a source can be opened without writing files."""
    inner: Any = source
    while hasattr(inner, "source"):
        inner = inner.source
    inner = inner.channel or inner
    return not isinstance(inner, PublishedSet) or inner.unpacked() is not None
