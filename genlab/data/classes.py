"""Classes of labelled data: from whole numbers or texts to 0 ... K-1, and what these are called.

The stored numbers are a user's own, such as 1 to 26 or -1 and 1: unless they are 0 ... K-1, they become the names.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from genlab.system.text import natural_order


@dataclass(frozen=True)
class Classes:
    """The classes 0 ... K-1. stored: the label of each in the user's file, as a text. names: what they are called, none
    if that is 0 ... K-1."""

    stored: tuple[str, ...]
    names: tuple[str, ...]

    def numbers(self, array: np.ndarray, where: str) -> Tensor:
        """Labels int64 [N]. `ValueError` if one is of no class. where: source of the labels, for the message."""
        found, rows = _distinct(array, where)
        places = {label: place for place, label in enumerate(self.stored)}
        if unknown := next((label for label in found if label not in places), None):
            raise ValueError(
                f"{where} holds {unknown[:40]!r}, which is no class of the others: {', '.join(self.stored)[:200]}."
            )
        return torch.tensor([places[label] for label in found])[torch.from_numpy(rows.reshape(-1))]


def classes_of(array: np.ndarray, where: str, names: Sequence[str] = ()) -> Classes:
    """The classes of labels [N]: whole numbers in ascending order, or texts in natural order.

    names: of the classes. Numbers are places in them, if none is beyond them, else each number in order has a name.
    Texts are the names themselves. `ValueError` if labels and names do not fit. where: source, for the message.
    """
    found, _ = _distinct(array, where)
    if not names:
        return Classes(tuple(found), names_of(found))
    if array.dtype.kind in "US":
        if unknown := set(found) - set(names):
            listed = ", ".join(names)[:200]
            raise ValueError(f"{where} holds {min(unknown)[:40]!r}, which is no name of a class: {listed}.")
        return Classes(tuple(names), tuple(names))
    places = [str(number) for number in range(len(names))]
    if not set(found) <= set(places):
        if len(found) != len(names):
            raise ValueError(
                f"{where} holds {found[0]} to {found[-1]}, {len(found)} classes, and there are {len(names)} names."
            )
        places = found
    return Classes(tuple(places), tuple(names))


def names_of(stored: Sequence[str]) -> tuple[str, ...]:
    """The names of classes that are stored as these texts: the same, but none if they are 0 ... K-1."""
    return () if all(text == str(place) for place, text in enumerate(stored)) else tuple(stored)


def texts_of(array: np.ndarray) -> list[str]:
    """The entries of an array of texts, or of bytes in UTF-8; other bytes stay distinct."""
    return (np.char.decode(array, "utf-8", "surrogateescape") if array.dtype.kind == "S" else array).tolist()


def _distinct(array: np.ndarray, where: str) -> tuple[list[str], np.ndarray]:
    """The distinct labels in order, as texts, and the place of each row among them, [N]."""
    values, rows = np.unique(array, return_inverse=True)
    if array.dtype.kind in "US":
        texts = texts_of(values)
        order = natural_order(texts)
        places = {text: place for place, text in enumerate(order)}
        return order, np.array([places[text] for text in texts], np.int64)[rows]
    if broken := [value for value in values.tolist() if not float(value).is_integer()]:
        raise ValueError(
            f"{where} holds {broken[0]:g}, which is no class. Store one whole number, or one text, for each."
        )
    return [str(int(value)) for value in values.tolist()], rows
