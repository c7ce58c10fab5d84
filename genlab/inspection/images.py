"""Examples for a trained run, read batch by batch: the user's files, or rows of a dataset."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor
from tqdm import tqdm

from genlab.contract.data import Condition, Field
from genlab.data.decoding import UnreadableError, decode
from genlab.data.images import NAMED, refusal
from genlab.data.listing import shown
from genlab.data.loading import Loader, as_examples
from genlab.media.kinds import class_name, numbered
from genlab.system.portions import MOST_ROWS, rows_at_once

log = logging.getLogger("genlab")

T = TypeVar("T", bound=tuple)


def tell(notes: Sequence[str]) -> None:
    """Show lines on the user's data."""
    for note in notes:
        log.warning(note)


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
    def classes(self) -> list[str]:
        """Names of the classes that `labels` count; empty if they have none but numbers."""
        return []

    @property
    def left_out(self) -> str:
        """How many damaged files were left out, as the end of a line; empty if none were."""
        return f", {len(self.skipped)} damaged ones left out" if self.skipped else ""


@dataclass(kw_only=True)
class UserImages(Images):
    """Image files, scaled and cropped to the shape of the field `wanted`; or others, if `read_file` reads them.

    asked: the key=value that named them, for messages.
    skip_damaged: whether damaged files are skipped instead of refused; None if the command has no such option.
    """

    paths: list[Path]
    root: Path
    wanted: Field
    asked: str
    skip_damaged: bool | None = None
    read_file: Callable[[str, Field], Tensor] = lambda path, field: decode(path, field.shape, mixing=not field.palette)

    def read(self) -> Iterator[tuple[list[str], Tensor, Condition]]:
        damaged: list[UnreadableError] = []
        at_once = rows_at_once(self.wanted.shape)
        for start in range(0, len(self.paths), at_once):
            names, images = [], []
            for path in self.paths[start : start + at_once]:
                try:
                    image = self.read_file(str(path), self.wanted)
                except UnreadableError as error:
                    damaged.append(error)
                    continue
                names.append(str(path.relative_to(self.root)))
                images.append(image)
            if images and (self.skip_damaged or not damaged):  # otherwise the rest is only examined
                yield names, as_examples(torch.stack(images), self.wanted), {}
        if damaged and not self.skip_damaged:
            raise refusal(damaged, None if self.skip_damaged is None else "skip_damaged")
        if len(damaged) == len(self.paths):
            raise ValueError(f"{self.asked}: none of its {len(self.paths)} files can be read")
        self.skipped = [error.path for error in damaged]
        if damaged:
            tell([f"skip_damaged: left out {len(damaged)} of {len(self.paths)} files: {shown(self.skipped, NAMED)}"])


@dataclass(kw_only=True)
class UserPoints(Images):
    """Points [N, D] of a file. given_labels: int64 [N], if the file holds any."""

    points: Tensor
    given_labels: Tensor | None = None

    def read(self) -> Iterator[tuple[list[str], Tensor, Condition]]:
        for rows in torch.arange(len(self.points)).split(MOST_ROWS):
            labels = {} if self.given_labels is None else {"label": self.given_labels[rows]}
            yield [str(row) for row in rows.tolist()], self.points[rows], labels


@dataclass(kw_only=True)
class DatasetImages(Images):
    """Rows of a dataset split, in order. given_labels: int64 [N], used instead of the dataset's own. domain: the field
    that is meant, by default the first that is modelled."""

    loader: Loader
    given_labels: Tensor | None = None
    domain: str | None = None

    @property
    def classes(self) -> list[str]:
        label = None if self.given_labels is not None else self.loader.spec.fields.get("label")
        return [class_name(label, number) for number in range(label.size)] if label and numbered(label) else []

    def read(self) -> Iterator[tuple[list[str], Tensor, Condition]]:
        start = 0
        for batch in self.loader.in_order(self.size):
            end = start + batch.size
            x = batch[self.domain] if self.domain else batch.first
            others = {name: value.cpu() for name, value in batch.fields.items() if value is not x}
            if self.given_labels is not None:
                others["label"] = self.given_labels[start:end]
            yield [str(number) for number in range(start, end)], x.float().cpu(), others
            start = end
