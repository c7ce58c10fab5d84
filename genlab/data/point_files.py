"""Points from a file of the user: the cells of a .csv file, or an array of an .npz file, with optional labels.

The file is read by the constructor, as mean and standard deviation of the points are part of the spec.
"""

import csv
import os
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from genlab.contract.data import DataSpec, Field
from genlab.data.arrays import count_classes, read_array, read_headers
from genlab.data.checks import check_range
from genlab.data.source import ArrayExamples, Examples, Source
from genlab.data.splits import split_rows, split_sizes
from genlab.system import memory
from genlab.system.text import did_you_mean

_LARGEST = float(np.finfo(np.float32).max)
_LONGEST_NAME = 200  # of a class
_MEMORY = 12  # bytes in memory per byte of a .csv file: the shortest cells, "1,", become float64 and float32


class PointsFile(Source):
    """Points [N, D] of a file: `x` float32 [N, D], `label` int64 [N].

    path: a .csv file, one point a line, numbers separated by commas, with or without a line of column names; or an .npz
        file, as numpy.savez writes it.
    labels_column: of a .csv file, the column that holds the class of each point: its name, or its number from 1.
        Classes are integers 0..K-1, or any texts. None for no labels.
    points_key, labels_key: names of the arrays [N, D] and [N] of an .npz file; None for no labels.
    validation_fraction: fraction held out, drawn with `seed`.
    """

    kind: ClassVar[str] = "points"
    may_provide = frozenset({"x", "label"})

    def __init__(
        self,
        *,
        path: str | None,
        labels_column: str | int | None = None,
        points_key: str = "points",
        labels_key: str | None = None,
        validation_fraction: float = 0.1,
        seed: int = 0,
    ):
        check_range("seed", seed, 0)
        if path is None:
            raise ValueError("dataset.path is not set. Give a .csv or .npz file, as in dataset.path=points.csv")
        file = Path(os.path.expanduser(path))
        if not file.is_file():
            raise ValueError(f"dataset.path={path}: no such file. Give a .csv or .npz file of points.")
        names: tuple[str, ...] = ()
        if file.suffix.lower() == ".npz":
            if labels_column is not None:
                raise ValueError(f"dataset.labels_column={labels_column}: is for .csv files; give dataset.labels_key=")
            points, labels = _from_npz(str(file), points_key, labels_key)
        elif file.suffix.lower() == ".csv":
            if labels_key is not None:
                raise ValueError(f"dataset.labels_key={labels_key}: is for .npz files; give dataset.labels_column=")
            points, labels, names = _from_csv(file, labels_column)
        else:
            raise ValueError(f"dataset.path={path}: is not known by its ending. Give a .csv or .npz file.")
        self.fields = {"x": points} | ({} if labels is None else {"label": labels})
        self.sizes = split_sizes(len(points), validation_fraction)
        self.rows = split_rows(len(points), validation_fraction, seed)
        self.spec = _spec(points[self.rows["train"]], labels, names)

    def open(self, split: str) -> list[Examples]:
        return [ArrayExamples(**{name: value[self.rows[split]] for name, value in self.fields.items()})]


def read_points(path: Path) -> Tensor:
    """All points float32 [N, D] of a .csv or .npz file without labels. `ValueError` if it does not hold them."""
    return _from_npz(str(path), "points", None)[0] if path.suffix.lower() == ".npz" else _from_csv(path, None)[0]


def _spec(points: Tensor, labels: Tensor | None, names: tuple[str, ...]) -> DataSpec:
    """The spec, with the mean and standard deviation of the training points [N, D]; a constant column has scale 1."""
    deviation = points.double().std(0, correction=0)
    deviation[deviation == 0] = 1
    centre = points.double().mean(0)
    fields = {"x": Field("points", points.shape[1:], centre=tuple(centre.tolist()), scale=tuple(deviation.tolist()))}
    if labels is not None:
        fields["label"] = Field("label", size=int(labels.max()) + 1, names=names)
    return DataSpec(fields, num_examples=len(points))


def _from_npz(path: str, points_key: str, labels_key: str | None) -> tuple[Tensor, Tensor | None]:
    """Points float32 [N, D], and labels int64 [N]. `ValueError` if the arrays do not hold them."""
    headers = read_headers(path)
    for option, key in (("points_key", points_key), ("labels_key", labels_key)):
        if key is not None and key not in headers:
            held = ", ".join(f"{name} {header}" for name, header in headers.items())
            raise ValueError(f"dataset.{option}={key}: no such array in {path}, which holds {held}.")
    header = headers[points_key]
    where = f"dataset.points_key={points_key}: {header}"
    if header.dtype.kind not in "uif" or len(header.shape) != 2 or 0 in header.shape:
        raise ValueError(f"{where} cannot be points. Store numbers [N, D], one row a point, as points[:, None] of [N].")
    memory.check(header.nbytes + 4 * header.shape[0] * header.shape[1], f"{where} needs", "give a smaller file")
    with np.errstate(over="ignore"):
        points = read_array(path, points_key).astype(np.float32)
    if not np.isfinite(points).all():
        row, column = np.argwhere(~np.isfinite(points))[0]
        raise ValueError(
            f"{path}: {points_key}[{row}, {column}] is {points[row, column]}. Points must be finite in float32; "
            "remove this row, or write a number."
        )
    if labels_key is None:
        return torch.from_numpy(points), None
    where = f"dataset.labels_key={labels_key}: {headers[labels_key]}"
    if headers[labels_key].dtype.kind not in "ui" or headers[labels_key].shape != (len(points),):
        raise ValueError(f"{where} cannot be the labels of {len(points)} points. Store one integer for each.")
    labels = torch.from_numpy(read_array(path, labels_key).astype(np.int64))
    count_classes(labels, where)
    return torch.from_numpy(points), labels


def _from_csv(path: Path, labels_column: str | int | None) -> tuple[Tensor, Tensor | None, tuple[str, ...]]:
    """Points float32 [N, D], labels int64 [N], and the names of the classes if the labels are texts."""
    memory.check(_MEMORY * path.stat().st_size, f"dataset.path={path} needs", "give a smaller file")
    lines = _lines(path)
    number, first = next(lines, (0, []))
    if not first:
        raise ValueError(f"{path}: is empty. Write one point a line, as numbers separated by commas.")
    names = None if any(map(_is_number, first)) else [cell.strip() for cell in first]
    chosen = _column(labels_column, names, len(first))
    if len(first) - (chosen is not None) == 0:
        raise ValueError(f"{path}: has no column besides that of the labels. Write the points beside them.")
    values, classes = array("d"), list[str]()
    for line, cells in lines if names else _chained((number, first), lines):
        if len(cells) != len(first):
            raise ValueError(f"{path}, row {line}: has {len(cells)} cells, and row {number} has {len(first)}.")
        if chosen is not None:
            classes.append(cells.pop(chosen).strip())
        if not all(map(_is_sound, cells)):
            raise _mistake(f"{path}, row {line}", cells, names, chosen)
        values.extend(map(float, cells))
    if not values:
        raise ValueError(f"{path}: holds column names and no points. Write one point a line below them.")
    points = torch.from_numpy(np.array(values, np.float32).reshape(-1, len(first) - (chosen is not None)))
    if chosen is None:
        return points, None, ()
    return points, *_classes(classes, f"dataset.labels_column={labels_column}")


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The lines of a .csv file that are not blank, as their number from 1 and their cells."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield reader.line_num, cells
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: is no text in UTF-8 with commas ({error}). Write it as a .csv file.") from error


def _chained(first: tuple[int, list[str]], rest: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    yield first[0], list(first[1])
    yield from rest


def _mistake(where: str, cells: list[str], names: list[str] | None, chosen: int | None) -> ValueError:
    """What is wrong with the first of the `cells` of a point that is not sound. chosen: the column left out of them."""
    place, cell = next((place, cell.strip()) for place, cell in enumerate(cells) if not _is_sound(cell))
    column = place + (chosen is not None and place >= chosen)
    title = f" ({names[column]})" if names else ""
    kind = "not finite in float32" if _is_number(cell) else "not a number"
    return ValueError(
        f"{where}, column {column + 1}{title}: {cell[:40] or 'an empty cell'} is {kind}. "
        "Separate numbers by commas, and name a column of classes, if any, as dataset.labels_column="
    )


def _is_sound(cell: str) -> bool:
    """Whether a cell holds a number that is finite in float32."""
    try:
        return abs(float(cell)) <= _LARGEST  # false for NaN
    except ValueError:
        return False


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _column(wanted: str | int | None, names: list[str] | None, count: int) -> int | None:
    """The index of the column of labels."""
    if wanted is None:
        return None
    if isinstance(wanted, int):
        if not 1 <= wanted <= count:
            raise ValueError(f"dataset.labels_column={wanted}: the file has the columns 1 to {count}.")
        return wanted - 1
    if names is None:
        raise ValueError(f"dataset.labels_column={wanted}: the file has no column names; give a number, 1 to {count}.")
    if wanted not in names:
        raise ValueError(f"dataset.labels_column={wanted}: no such column; {did_you_mean(wanted, names)}")
    return names.index(wanted)


def _classes(texts: list[str], where: str) -> tuple[Tensor, tuple[str, ...]]:
    """Labels int64 [N], and the names of the classes unless the texts are integers."""
    found = sorted(set(texts))
    if all(text.isdecimal() for text in found):
        labels = torch.tensor([int(text) for text in texts])
        count_classes(labels, where)
        return labels, ()
    for text in found:
        if not text or _is_number(text) or len(text) > _LONGEST_NAME:
            raise ValueError(f"{where}: holds {text[:40]!r}, which is no class. Write integers from 0, or names.")
    places = {text: place for place, text in enumerate(found)}
    return torch.tensor([places[text] for text in texts]), tuple(found)
