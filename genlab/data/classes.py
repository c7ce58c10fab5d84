"""Classes of labelled data: from integers or texts to numbers, and what the numbers are called."""

import numpy as np
import torch
from torch import Tensor

from genlab.system.text import natural_order


def texts_of(array: np.ndarray) -> list[str]:
    """The entries of an array of texts, or of bytes in UTF-8; other bytes stay distinct."""
    return (np.char.decode(array, "utf-8", "surrogateescape") if array.dtype.kind == "S" else array).tolist()


def classes_of(array: np.ndarray, where: str, names: tuple[str, ...] = ()) -> tuple[Tensor, tuple[str, ...]]:
    """Labels int64 [N], and names of the classes: of texts, they are their natural order unless `names` are given.

    `ValueError` if a label is beyond the names. where: source of the labels, for the error message.
    """
    if array.dtype.kind in "ui":
        labels = torch.from_numpy(array.astype(np.int64))
        if names and len(array) and not 0 <= labels.min() <= labels.max() < len(names):
            raise ValueError(f"{where} holds {labels.min()} to {labels.max()}, and there are {len(names)} names.")
        return labels, names
    texts = texts_of(array)
    names = names or tuple(natural_order(set(texts)))
    places = {name: place for place, name in enumerate(names)}
    if unknown := set(texts) - set(names):
        raise ValueError(f"{where} holds {min(unknown)[:40]!r}, which is no name of a class: {', '.join(names)[:200]}.")
    return torch.tensor([places[text] for text in texts]), names


def count_classes(labels: Tensor, where: str, num_classes: int | None = None) -> int:
    """The number of classes in `labels` (int64 [N]), or `num_classes` if given.

    `ValueError` unless labels are 0, 1, ... without gaps. where: source of the labels, for the error message.
    """
    found = labels.unique().tolist()
    classes = found if num_classes is None else range(num_classes)
    if list(classes) != list(range(len(classes))) or not set(found) <= set(classes):
        raise ValueError(f"{where} holds the values {found[:8]}. Number the classes from 0 without gaps.")
    return len(classes)
