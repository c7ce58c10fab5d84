"""Points from a file of the user: the cells of a .csv file, or an array of an .npz file, with optional labels.

The file is read by the constructor, as mean and standard deviation of the points are part of the spec.
"""

import os
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from genlab.contract.data import DataSpec, Field
from genlab.contract.settings import Place
from genlab.data.checks import check_moments, check_range
from genlab.data.classes import classes_of
from genlab.data.csv_points import Table, read_csv
from genlab.data.numpy_files import LABEL_NAMES, check_labels, labels_hint, no_such_array, read_array, read_headers
from genlab.data.source import ArrayExamples, Examples, Source
from genlab.data.splits import split_rows, split_sizes
from genlab.system import memory


class PointsFile(Source):
    """Points [N, D] of a file: `x` float32 [N, D], `label` int64 [N].

    path: a .csv file, one point a line, numbers separated by commas, with or without a line of column names; or an .npz
        file, as numpy.savez writes it.
    labels_column: of a .csv file, the column that holds the class of each point: its name, or its number from 1.
        Classes are whole numbers, or any texts. None for no labels.
    points_key, labels_key: names of the arrays [N, D] and [N] of an .npz file; None for no labels.
    validation_fraction: fraction held out, drawn with `seed`.
    """

    kind: ClassVar[str] = "points"
    may_provide = frozenset({"x", "label"})

    def __init__(
        self,
        *,
        path: Place | None,
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
        if file.suffix.lower() == ".npz":
            if labels_column is not None:
                raise ValueError(f"dataset.labels_column={labels_column}: is for .csv files; give dataset.labels_key=")
            table = _from_npz(str(file), points_key, labels_key, "dataset.path")
            if labels_key is None:
                self.labels_hint = labels_hint(read_headers(str(file)), len(table.points), (points_key,))
        elif file.suffix.lower() == ".csv":
            if labels_key is not None:
                raise ValueError(f"dataset.labels_key={labels_key}: is for .npz files; give dataset.labels_column=")
            table = read_csv(file, labels_column, "dataset.path")
            if labels_column is None:
                self.labels_hint = _label_among(table.columns)
        else:
            raise ValueError(f"dataset.path={path}: is not known by its ending. Give a .csv or .npz file.")
        self.notes = (f"{file}: {self.labels_hint}",) if self.labels_hint else ()
        self.fields = {"x": _single(table)} | ({} if table.labels is None else {"label": table.labels})
        self.sizes = split_sizes(len(table.points), validation_fraction)
        self.rows = split_rows(len(table.points), validation_fraction, seed)
        self.spec = _spec(file, table, np.asarray(self.rows["train"]))

    def open(self, split: str) -> list[Examples]:
        return [ArrayExamples(**{name: value[self.rows[split]] for name, value in self.fields.items()})]


def read_points(path: Path, key: str) -> Tensor:
    """All points float32 [N, D] of a .csv or .npz file without labels. `ValueError` if it does not hold them.

    key: what gave the path, for messages.
    """
    if path.suffix.lower() == ".npz":
        return _single(_from_npz(str(path), "points", None, key))
    return _single(read_csv(path, None, key))


def _label_among(columns: list[str]) -> str:
    """How to make classes of a column of numbers that is called so; empty if none is."""
    for number, title in enumerate(columns, 1):
        if title.partition("(")[2].removesuffix(")").lower() in set(LABEL_NAMES) - {"y"}:  # y is an axis, as x is
            return f"dataset.labels_column={number} makes classes of {title}, which is taken for an axis of the points"
    return ""


def _single(table: Table) -> Tensor:
    """The points in float32."""
    return torch.from_numpy(table.points.astype(np.float32))


def _spec(file: Path, table: Table, rows: np.ndarray) -> DataSpec:
    """The spec, with the mean and standard deviation of the training points; a constant column has scale 1.

    They are those of the numbers in the file, before float32 rounds them. rows: int64, of the training points.
    """
    centre, scale = [], []
    for place, title in enumerate(table.columns):
        column = table.points[rows, place].astype(np.float64)
        mean, deviation = float(column.mean()), 1.0
        if column.min() < column.max():
            deviation = float(column.std())
            check_moments(f"{file}, {title}", mean, deviation, "subtract an offset from this column")
        centre.append(mean)
        scale.append(deviation)
    fields = {"x": Field("points", (len(centre),), centre=tuple(centre), scale=tuple(scale))}
    if table.labels is not None:
        fields["label"] = Field("label", size=int(table.labels.max()) + 1, names=table.names)
    return DataSpec(fields, num_examples=len(rows))


def _from_npz(path: str, points_key: str, labels_key: str | None, key: str) -> Table:
    """Points and labels of a file. `ValueError` if the arrays do not hold them. key: what gave the path."""
    headers = read_headers(path, key)
    asked = f"dataset.points_key={points_key}" if key == "dataset.path" else f"{key}={path}, array {points_key}"
    for wanted, name in ((asked, points_key), (f"dataset.labels_key={labels_key}", labels_key)):
        if name is not None and name not in headers:
            raise no_such_array(wanted, path, headers, (2,) if name == points_key and key == "dataset.path" else ())
    header = headers[points_key]
    where = f"{asked}: {header}"
    if header.dtype.kind not in "uif" or len(header.shape) != 2 or 0 in header.shape:
        raise ValueError(f"{where} cannot be points. Store numbers [N, D], one row a point, as points[:, None] of [N].")
    memory.check(header.nbytes + 5 * header.shape[0] * header.shape[1], f"{where} needs", "give a smaller file")
    points = read_array(path, points_key)
    with np.errstate(over="ignore"):
        finite = np.isfinite(points.astype(np.float32))
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise ValueError(
            f"{path}: {points_key}[{row}, {column}] is {points[row, column]}. Points must be finite in float32; "
            "remove this row, or write a number."
        )
    columns = [f"{points_key}[:, {column}]" for column in range(points.shape[1])]
    if labels_key is None:
        return Table(points, columns)
    where = f"dataset.labels_key={labels_key}: {headers[labels_key]}"
    check_labels(where, headers[labels_key], len(points), "points")
    stored = read_array(path, labels_key)
    classes = classes_of(stored, where)
    return Table(points, columns, classes.numbers(stored, where), classes.names)
