"""Images from the arrays of one .npz file, with optional labels. Only headers are read until training opens it."""

from math import prod

import numpy as np
import torch
from torch import Tensor

from genlab.contract.data import ImageShape, image_spec
from genlab.contract.settings import Place
from genlab.data.checks import check_range
from genlab.data.classes import Classes, classes_of, texts_of
from genlab.data.images import image_size, with_channels
from genlab.data.numpy_files import (
    Header,
    check_labels,
    existing_file,
    labels_hint,
    no_such_array,
    read_array,
    read_headers,
)
from genlab.data.source import ArrayExamples, Examples, Source
from genlab.data.splits import split_rows, split_sizes
from genlab.system import memory


class Npz(Source):
    """Arrays [N, H, W], [N, H, W, C] or [N, C, H, W], C of 1 or 3, of integers, floats or booleans: `x` uint8
    [N, C, H, W], `label` int64 [N].

    path: the .npz file, as numpy.savez writes it.
    images_key, labels_key: names of the arrays in it; None for no labels. Labels are whole numbers or texts, [N].
    names_key: name of an array of the K names of the classes; None for the labels themselves.
    validation_images_key, validation_labels_key: arrays held out; None splits off part of the training arrays.
    image_shape: [height, width] or [height, width, channels] of images stored as flat rows [N, D].
    channels: 3, or 1 for grey, to which images are converted; None for those of the array.
    min_value, max_value: the stored values of black and of white; white by default is 255 of integers, else 1.
    validation_fraction: fraction held out, drawn with `seed`, if there are no validation arrays.
    block_size: number of consecutive rows that stay in one split; about 100 for video frames.
    """

    def __init__(
        self,
        *,
        path: Place | None,
        images_key: str = "images",
        labels_key: str | None = None,
        names_key: str | None = None,
        validation_images_key: str | None = None,
        validation_labels_key: str | None = None,
        image_shape: list[int] | None = None,
        channels: int | None = None,
        min_value: float = 0,
        max_value: float | None = None,
        validation_fraction: float = 0.1,
        block_size: int = 1,
        seed: int = 0,
    ):
        check_range("block_size", block_size, 1, 2**40)
        self.path = existing_file("path", path, "npz")
        self.headers = read_headers(self.path)
        self.image_shape, self.min_value, self.max_value = image_shape, min_value, max_value
        self.validation_fraction, self.block_size, self.seed = validation_fraction, block_size, seed
        if (validation_labels_key is not None) != (labels_key is not None and validation_images_key is not None):
            raise ValueError(
                f"dataset.validation_labels_key={validation_labels_key}: images that are held out have labels if and "
                f"only if the others have. Give it with dataset.labels_key (here {labels_key}) and "
                f"dataset.validation_images_key (here {validation_images_key}), or none of the labels."
            )
        self.stored, shape = self._check_images("images_key", images_key)
        if channels is not None:
            shape = image_size(channels, list(shape[1:]))
        if names_key is not None and labels_key is None:
            raise ValueError(f"dataset.names_key={names_key}: names the classes of labels; give dataset.labels_key.")
        names = () if names_key is None else self._read_names(names_key)
        self.classes: Classes | None = None
        if labels_key is not None:
            self.classes = classes_of(*self._stored_labels("labels_key", labels_key, images_key), names)
        else:
            used = (images_key, validation_images_key)
            self.labels_hint = labels_hint(self.headers, self.headers[images_key].shape[0], used)
            self.notes = (f"{self.path}: {self.labels_hint}",) if self.labels_hint else ()
        self.keys = {"train": (images_key, labels_key)}
        if validation_images_key is None:
            self.sizes = split_sizes(self.headers[images_key].shape[0], validation_fraction)
        else:
            if self._check_images("validation_images_key", validation_images_key)[0] != self.stored:
                raise ValueError(f"{self.path}: {images_key} and {validation_images_key} differ in shape or channels.")
            if self.classes and validation_labels_key is not None:
                asked = ("validation_labels_key", validation_labels_key, validation_images_key)
                self.classes.numbers(*self._stored_labels(*asked))
            self.keys["validation"] = (validation_images_key, validation_labels_key)
            self.sizes = {split: self.headers[images].shape[0] for split, (images, _) in self.keys.items()}
        self.spec = image_spec(shape, *((len(self.classes.stored), self.classes.names) if self.classes else ()))

    def open(self, split: str) -> list[Examples]:
        images_key, labels_key = self.keys.get(split, self.keys["train"])
        images = self._read_images(images_key)
        labels = {}
        if self.classes and labels_key:
            labels["label"] = self.classes.numbers(read_array(self.path, labels_key), labels_key)
        if "validation" not in self.keys:
            rows = split_rows(len(images), self.validation_fraction, self.seed, self.block_size)[split]
            images, labels = images[rows], {name: value[rows] for name, value in labels.items()}
        return [ArrayExamples(x=images, **labels)]

    def _header(self, option: str, key: str) -> Header:
        if key not in self.headers:
            axes = (3, 4) if "images" in option else ()
            raise no_such_array(f"dataset.{option}={key}", self.path, self.headers, axes)
        return self.headers[key]

    def _check_images(self, option: str, key: str) -> tuple[ImageShape, ImageShape]:
        """The shape of an image as it is stored, of three axes, and as (channels, height, width). `ValueError` if the
        array cannot hold images."""
        header = self._header(option, key)
        where = f"dataset.{option}={key}: {header}"
        if header.dtype.kind not in "buif" or len(header.shape) < 2 or 0 in header.shape:
            raise ValueError(f"{where} cannot be images. Store them as uint8 [N, height, width, channels].")
        shape = list(header.shape[1:])
        self._range(header.dtype)
        needed = header.nbytes + prod(header.shape)
        memory.check(needed, f"{where} needs", "give a file with fewer or smaller images")
        if self.image_shape is not None:
            if prod(shape) != prod(self.image_shape):
                raise ValueError(f"{where} does not fit dataset.image_shape={self.image_shape}.")
            shape = self.image_shape
        if len(shape) == 1:
            raise ValueError(f"{where} holds flat rows. Give dataset.image_shape=[HEIGHT,WIDTH] too.")
        if len(shape) == 3 and shape[2] not in (1, 3) and shape[0] in (1, 3):
            return tuple(shape), tuple(shape)
        if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (1, 3)):
            layouts = "[N, height, width], [N, height, width, 1 or 3] or [N, 1 or 3, height, width]"
            raise ValueError(f"{where} is not {layouts}. Store it so.")
        height, width, channels = (*shape, 1)[:3]
        return (height, width, channels), (channels, height, width)

    def _stored_labels(self, option: str, key: str, images_key: str) -> tuple[np.ndarray, str]:
        """The labels as they are stored, and where they are from. They are small, so their values are read."""
        header = self._header(option, key)
        where = f"dataset.{option}={key}: {header}"
        count = self.headers[images_key].shape[0]
        check_labels(where, header, count)
        memory.check(header.nbytes + 16 * count, f"{where} needs", "give a file with fewer images")
        return read_array(self.path, key), where

    def _read_names(self, key: str) -> tuple[str, ...]:
        header = self._header("names_key", key)
        if header.dtype.kind not in "US" or len(header.shape) != 1:
            raise ValueError(f"dataset.names_key={key}: {header} cannot be names. Store one text for each class.")
        return tuple(texts_of(read_array(self.path, key)))

    def _read_images(self, key: str) -> Tensor:
        """An array as uint8 [N, C, H, W]."""
        array = read_array(self.path, key)
        black, white = self._range(array.dtype)
        low, high = float(array.min()), float(array.max())
        if not black <= low <= high <= white:  # also rejects NaN
            raise ValueError(f"{self.path}: {key} {_advice(array, low, high, black, white)}")
        if array.dtype.kind in "ui" and self.max_value is None and high <= 1:
            raise ValueError(f"{self.path}: {key} holds only 0 and 1. Give dataset.max_value=1 to make 1 white.")
        if array.dtype != np.uint8 or (black, white) != (0, 255):
            # In slices: a float copy of the whole array would take several times its memory.
            scaled = np.empty(array.shape, np.uint8)
            for start in range(0, len(array), 4096):
                part = slice(start, start + 4096)
                scaled[part] = np.rint((array[part].astype(np.float32) - black) * (255 / (white - black)))
            array = scaled
        images = torch.from_numpy(array.reshape(len(array), *self.stored))
        if self.stored[2] in (1, 3):
            images = images.permute(0, 3, 1, 2)
        return with_channels(images, self.spec.shape[0]).contiguous()

    def _range(self, dtype: np.dtype) -> tuple[float, float]:
        """The stored values of black and white."""
        white = self.max_value if self.max_value is not None else 255 if dtype.kind in "ui" else 1
        if not self.min_value < white:
            raise ValueError(f"dataset.min_value={self.min_value}: must be below dataset.max_value, here {white:g}.")
        return self.min_value, white


def _advice(array: np.ndarray, low: float, high: float, black: float, white: float) -> str:
    """What an array holds that is no brightness from `black` to `white`, and how to store or read it."""
    if not np.isfinite(low) or not np.isfinite(high):
        count = array.size - int(np.isfinite(array).sum())
        found = f"holds {count} values that are NaN or infinite, outside {black:g} to {white:g}."
        return f"{found} Store numbers in their place, as numpy.nan_to_num does."
    found = f"holds values from {low:g} to {high:g}, outside {black:g} to {white:g}."
    if low >= -1 and high <= 1:
        return f"{found} Give the value that means black, as in dataset.min_value=-1."
    if low < black:
        scale = f"(x - {low:g}) / {high - low:g}".replace("- -", "+ ")
        return f"{found} Black is {black:g}: store them as floats from 0 to 1, by {scale}."
    number = next((2**bits - 1 for bits in (8, 10, 12, 16) if 2 ** (bits - 1) <= high < 2**bits), f"{high:g}")
    return f"{found} Give the value that means white, as in dataset.max_value={number}; black is {black:g}."
