"""Images to look at through a trained run, read batch by batch: files of the user's, or examples of a dataset."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from genlab.contract.data import DataSpec
from genlab.data.images import decode
from genlab.data.loading import Loader
from genlab.inference.run import BATCH

log = logging.getLogger("genlab")


@dataclass
class ImageBatch:
    """Some images, float32 [n, C, H, W] in [0, 1] on the CPU, and what goes with them, an entry for each.

    names: of the files, or the position in the split; label: int64 [n] if the data has labels.
    """

    names: list[str]
    image: Tensor
    label: Tensor | None = None


@dataclass
class Images:
    """Images that can be read any number of times.

    title: what they are called in names of folders; size: how many there are.
    origin: where exactly they come from, as plain data. skipped: damaged files that were left out.
    """

    title: str
    size: int
    origin: dict[str, Any] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    def read(self) -> Iterator[ImageBatch]:
        """All of them, in order, batch by batch."""
        raise NotImplementedError

    def batches(self, doing: str) -> Iterator[ImageBatch]:
        """`read`, with a progress bar that says what is being done, if a person watches."""
        with tqdm(total=self.size, desc=doing, disable=None, leave=False) as bar:
            for batch in self.read():
                yield batch
                bar.update(len(batch.names))

    def all(self) -> ImageBatch:
        """All of them at once."""
        parts = list(self.read())
        names = [name for part in parts for name in part.names]
        return ImageBatch(names, torch.cat([part.image for part in parts]), labels_of(parts))

    @property
    def left_out(self) -> str:
        """How many damaged files were left out, as the end of a line; empty if none were."""
        return f", {len(self.skipped)} damaged ones left out" if self.skipped else ""


def labels_of(parts: list[ImageBatch]) -> Tensor | None:
    """The labels of several batches, None unless all have some."""
    labels = [part.label for part in parts if part.label is not None]
    return torch.cat(labels) if labels and len(labels) == len(parts) else None


@dataclass
class UserImages(Images):
    """Image files, scaled and cropped to what the run takes.

    asked: the key=value that named them.
    skip_damaged: whether damaged ones are left out instead of refused; None if the user cannot ask for that.
    """

    paths: list[Path] = field(default_factory=list)
    root: Path = Path()
    data: DataSpec = field(kw_only=True)
    asked: str = ""
    skip_damaged: bool | None = None

    def read(self) -> Iterator[ImageBatch]:
        self.skipped.clear()
        for start in range(0, len(self.paths), BATCH):
            names, images = [], []
            for path in self.paths[start : start + BATCH]:
                try:
                    image = self._decode(path)
                except ValueError as error:
                    if not self.skip_damaged:
                        hint = "" if self.skip_damaged is None else " Or leave such files out: skip_damaged=true"
                        raise ValueError(f"{error}{hint}") from error
                    log.warning("left out: %s", error)
                    self.skipped.append(str(path))
                    continue
                names.append(str(path.relative_to(self.root)))
                images.append(image)
            if images:
                yield ImageBatch(names, torch.stack(images).float() / 255)
        if len(self.skipped) == len(self.paths):
            raise ValueError(f"{self.asked}: none of its {len(self.paths)} images can be read")

    def _decode(self, path: Path) -> Tensor:
        channels, height, width = self.data.shape
        image = decode(str(path), (3, height, width))
        if channels == 3:
            return image
        if (image[0] - image[1]).any() or (image[1] - image[2]).any():
            raise ValueError(f"{path}: is in colour, but this run takes grey images (1 channel); convert it to grey.")
        return image[:1]


@dataclass
class DatasetImages(Images):
    """Examples of a split of a dataset, in order. labels: int64 [N], instead of the dataset's own."""

    loader: Loader = field(kw_only=True)
    labels: Tensor | None = None

    def read(self) -> Iterator[ImageBatch]:
        start = 0
        for batch in self.loader.in_order(self.size):
            end = start + batch.size
            label = batch["label"].cpu() if "label" in batch else None
            if self.labels is not None:
                label = self.labels[start:end]
            yield ImageBatch([str(number) for number in range(start, end)], batch.images.float().cpu(), label)
            start = end
