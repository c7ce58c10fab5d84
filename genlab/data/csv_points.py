"""Points from a .csv file: numbers separated by commas, one point a line, with or without a line of column names.

Numbers stay float64 here: values far from 0 must be standardized before float32 rounds them.
"""

import csv
from array import array
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from genlab.data.classes import names_of
from genlab.system import memory
from genlab.system.text import did_you_mean, natural_order

_LARGEST = float(np.finfo(np.float32).max)
_LONGEST_NAME = 200  # of a class
_MEMORY = 12  # bytes in memory per byte of a .csv file: the shortest cells, "1,", become float64 and float32
_NO_NUMBERS = "a line of column names may hold no numbers"


class Table(NamedTuple):
    """Points [N, D], finite in float32; what each column is called in messages; labels int64 [N]; names of classes."""

    points: np.ndarray
    columns: list[str]
    labels: Tensor | None = None
    names: tuple[str, ...] = ()


def read_csv(path: Path, labels_column: str | int | None, key: str) -> Table:
    """The points of a file, and its classes; names only if the labels are texts. key: what gave the path."""
    memory.check(_MEMORY * path.stat().st_size, f"{key}={path} needs", "give a smaller file")
    lines = _lines(path)
    number, first = next(lines, (0, []))
    if not first:
        raise ValueError(f"{path}: is empty. Write one point a line, as numbers separated by commas.")
    names = None if any(map(_is_number, first)) else [cell.strip() for cell in first]
    chosen = _column(labels_column, names, len(first))
    if len(first) - (chosen is not None) == 0:
        raise ValueError(f"{path}: has no column besides that of the labels. Write the points beside them.")
    titles = [f"column {n}" + (f" ({names[n - 1]})" if names else "") for n in range(1, len(first) + 1)]
    if chosen is not None:
        titles.pop(chosen)
    values, classes = array("d"), list[str]()
    for line, cells in lines if names else _chained((number, first), lines):
        if len(cells) != len(first):
            raise ValueError(f"{path}, row {line}: has {len(cells)} cells, and row {number} has {len(first)}.")
        if chosen is not None:
            classes.append(cells.pop(chosen).strip())
        if not all(map(_is_sound, cells)):
            advice = "Separate numbers by commas"
            if key == "dataset.path" and chosen is None:
                place = next(place for place, cell in enumerate(cells) if not _is_sound(cell))
                column = names[place] if names else place + 1
                advice += f", and name a column of classes, if it is one, as dataset.labels_column={column}"
            if line == number:
                advice += f"; {_NO_NUMBERS}"
            raise ValueError(f"{path}, row {line}, {_mistake(cells, titles)}. {advice}.")
        values.extend(map(float, cells))
    if not values:
        raise ValueError(f"{path}: holds column names and no points. Write one point a line below them.")
    points = np.frombuffer(values).reshape(-1, len(titles))
    if chosen is None:
        return Table(points, titles)
    return Table(points, titles, *_classes(classes, f"dataset.labels_column={labels_column}"))


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


def _mistake(cells: list[str], titles: list[str]) -> str:
    """What is wrong with the first of the `cells` of a point that is not sound."""
    title, cell = next((t, cell.strip()) for t, cell in zip(titles, cells, strict=True) if not _is_sound(cell))
    kind = "not finite in float32" if _is_number(cell) and "_" not in cell else "not a number"
    return f"{title}: {cell[:40] or 'an empty cell'} is {kind}"


def _is_sound(cell: str) -> bool:
    """Whether a cell holds a number that is finite in float32; 1_000 is one to Python alone."""
    try:
        return "_" not in cell and abs(float(cell)) <= _LARGEST  # false for NaN
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
        raise ValueError(
            f"dataset.labels_column={wanted}: no column names in the file; give a number, 1 to {count} ({_NO_NUMBERS})."
        )
    if wanted not in names:
        raise ValueError(f"dataset.labels_column={wanted}: no such column; {did_you_mean(wanted, names)}")
    return names.index(wanted)


def _classes(texts: list[str], where: str) -> tuple[Tensor, tuple[str, ...]]:
    """Labels int64 [N], and what the classes are called, unless it is 0 ... K-1: whole numbers (3 as 3.0), or names."""
    found = {text: text for text in set(texts)}
    if all(map(_is_whole, found)):
        found = {text: str(int(Decimal(text))) for text in found}
    elif broken := [text for text in found if not text or _is_number(text)]:
        raise ValueError(f"{where}: holds {min(broken)[:40]!r}, which is no class. Write whole numbers, or names.")
    if longest := next((text for text in found.values() if len(text) > _LONGEST_NAME), None):
        raise ValueError(f"{where}: holds {longest[:40]}..., which is too long. Write {_LONGEST_NAME} letters at most.")
    stored = natural_order(set(found.values()))
    places = {name: place for place, name in enumerate(stored)}
    return torch.tensor([places[found[text]] for text in texts]), names_of(stored)


def _is_whole(cell: str) -> bool:
    return _is_number(cell) and "_" not in cell and float(cell).is_integer()
