"""Examples for a trained run, read batch by batch: the user's files, or rows of a dataset."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor
from tqdm import tqdm

from genlab.contract.data import Condition, Field
from genlab.data.images import decode
from genlab.data.loading import Loader, as_examples
from genlab.inference.run import BATCH
from genlab.system.text import printable

log = logging.getLogger("genlab")

T = TypeVar("T", bound=tuple)


def progress(batches: Iterable[T], doing: str, total: int) -> Iterator[T]:
    """`batches` with a progress bar `doing`, shown only in a terminal; `total`: rows of the first items of all."""
    with tqdm(total=total, desc=doing, disable=None, leave=False) as bar:
        for batch in batches:
            yield batch
            bar.update(len(batch[0]))


@dataclass
class Images:
    """Examples, of any kind, that can be read any number of times.

    title: short name, used in folder names. size: number of examples.
    origin: where exactly they come from, as plain data.
    conditions: whether the fields beside them are what the run is conditioned on: they are if it is the run's own data.
    Of those read so far by `batches`, names: of the files, or positions in the split; skipped: damaged files that were
    left out; labels: int64 [N] once all are read, if all have labels.
    """

    title: str
    size: int
    origin: dict[str, Any] = field(default_factory=dict)
    conditions: bool = False
    names: list[str] = field(default_factory=list, init=False)
    skipped: list[str] = field(default_factory=list, init=False)
    labels: Tensor | None = field(default=None, init=False)

    def read(self) -> Iterator[tuple[list[str], Tensor, Condition]]:
        """Names, examples and the fields beside them, batch by batch; damaged files are added to `skipped`."""
        raise NotImplementedError

    def batches(self, doing: str) -> Iterator[Tensor]:
        """All examples in order, float32 [n, *shape] on the CPU, with a progress bar."""
        yield from (x for x, _ in self.with_conditions(doing))

    def with_conditions(self, doing: str) -> Iterator[tuple[Tensor, Condition]]:
        """The same, each batch with what the run is conditioned on, as far as the examples say."""
        self.names, self.skipped, self.labels = [], [], None
        labels = []
        for names, x, others in progress(self.read(), doing, self.size):
            self.names += names
            labels += [others["label"]] if "label" in others else []
            yield x, others if self.conditions else {}
        if sum(map(len, labels)) == len(self.names):
            self.labels = torch.cat(labels)

    @property
    def left_out(self) -> str:
        """How many damaged files were left out, as the end of a line; empty if none were."""
        return f", {len(self.skipped)} damaged ones left out" if self.skipped else ""


@dataclass(kw_only=True)
class UserImages(Images):
    """Image files, scaled and cropped to the shape of the field `wanted`.

    asked: the key=value that named them, for messages.
    skip_damaged: whether damaged files are skipped instead of refused; None if the command has no such option.
    """

    paths: list[Path]
    root: Path
    wanted: Field
    asked: str
    skip_damaged: bool | None = None

    def read(self) -> Iterator[tuple[list[str], Tensor, Condition]]:
        for start in range(0, len(self.paths), BATCH):
            names, images = [], []
            for path in self.paths[start : start + BATCH]:
                try:
                    image = self._decode(path)
                except ValueError as error:
                    if not self.skip_damaged:
                        hint = "" if self.skip_damaged is None else " Or leave such files out: skip_damaged=true"
                        raise ValueError(f"{error}{hint}") from error
                    log.warning("left out: %s", printable(str(error)))
                    self.skipped.append(str(path))
                    continue
                names.append(str(path.relative_to(self.root)))
                images.append(image)
            if images:
                yield names, as_examples(torch.stack(images), self.wanted), {}
        if len(self.skipped) == len(self.paths):
            raise ValueError(f"{self.asked}: none of its {len(self.paths)} images can be read")

    def _decode(self, path: Path) -> Tensor:
        channels, height, width = self.wanted.shape
        image = decode(str(path), (3, height, width))
        if channels == 3:
            return image
        if (image[0] - image[1]).any() or (image[1] - image[2]).any():
            raise ValueError(f"{path}: is in colour, but this run takes grey images (1 channel); convert it to grey.")
        return image[:1]


@dataclass(kw_only=True)
class UserPoints(Images):
    """Points [N, D] of a file. given_labels: int64 [N], if the file holds any."""

    points: Tensor
    given_labels: Tensor | None = None

    def read(self) -> Iterator[tuple[list[str], Tensor, Condition]]:
        for rows in torch.arange(len(self.points)).split(BATCH):
            labels = {} if self.given_labels is None else {"label": self.given_labels[rows]}
            yield [str(row) for row in rows.tolist()], self.points[rows], labels


@dataclass(kw_only=True)
class DatasetImages(Images):
    """Rows of a dataset split, in order. given_labels: int64 [N], used instead of the dataset's own."""

    loader: Loader
    given_labels: Tensor | None = None

    def read(self) -> Iterator[tuple[list[str], Tensor, Condition]]:
        start = 0
        for batch in self.loader.in_order(self.size):
            end = start + batch.size
            others = {name: value.cpu() for name, value in batch.fields.items() if value is not batch.first}
            if self.given_labels is not None:
                others["label"] = self.given_labels[start:end]
            yield [str(number) for number in range(start, end)], batch.first.float().cpu(), others
            start = end
