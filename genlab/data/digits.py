"""Handwritten digits bundled with scikit-learn: small, real, and available without a download.

References:
    Methods of Combining Multiple Classifiers and Their Applications to Handwritten Digit Recognition (Xu, Krzyzak,
    Suen, 1992), whose database became "Optical Recognition of Handwritten Digits" (Alpaydin, Kaynak, 1998)
    https://archive.ics.uci.edu/dataset/80
"""

import gzip
from importlib.util import find_spec
from pathlib import Path
from string import digits

import numpy as np
import torch

from genlab.contract.data import image_spec
from genlab.data.checks import check_range, check_table
from genlab.data.images import resize
from genlab.data.source import ArrayExamples, Examples, Source
from genlab.data.splits import split_rows, split_sizes

COUNT, NATIVE_SIZE, WHITE = 1797, 8, 16


class Digits(Source):
    """1797 grey images of 8x8 pixels in ten classes, resized once to `size`: `x` uint8 [N, 1, size, size].

    size: height and width in pixels, 8 or more.
    validation_fraction: fraction held out, drawn with `seed`.
    """

    def __init__(self, *, size: int = 16, validation_fraction: float = 0.1, seed: int = 0):
        check_range("size", size, NATIVE_SIZE)
        self.validation_fraction, self.seed = validation_fraction, seed
        self.spec = image_spec((1, size, size), 10, digits)
        self.sizes = split_sizes(COUNT, validation_fraction)
        check_table(self.sizes, self.spec.shape)

    def open(self, split: str) -> list[Examples]:
        rows = split_rows(COUNT, self.validation_fraction, self.seed)[split]
        table = torch.from_numpy(read_table())[rows]
        images = (table[:, :-1] * (255 / WHITE)).round().byte().view(-1, 1, NATIVE_SIZE, NATIVE_SIZE)
        return [ArrayExamples(x=resize(images, self.spec.shape[-1]), label=table[:, -1].long())]


def read_table() -> np.ndarray:
    """The bundled file, one digit per row: 64 pixels in 0..16, then the class; float32 [1797, 65].

    Located without importing scikit-learn: the import would take longer than the rest of a short run's start-up.
    """
    found = find_spec("sklearn")
    assert found and found.origin, "scikit-learn is one of GenLab's requirements"
    path = Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz"
    with gzip.open(path, "rt") as file:
        return np.loadtxt(file, delimiter=",", dtype=np.float32)
