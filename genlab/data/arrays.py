"""Images from the arrays of one .npz file, with optional labels. Only headers are read until training opens it."""

import os
import struct
import zipfile
import zlib
from math import prod
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from genlab.contract.data import ImageShape, image_spec
from genlab.contract.settings import Place
from genlab.data.checks import check_range
from genlab.data.classes import classes_of, count_classes, texts_of
from genlab.data.images import image_size, with_channels
from genlab.data.source import ArrayExamples, Examples, Source
from genlab.data.splits import split_rows, split_sizes
from genlab.system import memory

DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, ValueError, KeyError, EOFError, OSError, RuntimeError)
"""Errors of zipfile and numpy on damaged files. RuntimeError: encrypted, or an unknown compression method."""


class Header(NamedTuple):
    """Shape and dtype of an array, known before its data is read."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


class Npz(Source):
    """Arrays [N, H, W] or [N, H, W, C] of integers, floats or booleans: `x` uint8 [N, C, H, W], `label` int64 [N].

    path: the .npz file, as numpy.savez writes it.
    images_key, labels_key: names of the arrays in it; None for no labels. Labels are integers 0..K-1, or texts.
    names_key: name of an array of the K names of the classes; None for none, or the texts themselves.
    validation_images_key, validation_labels_key: arrays held out; None splits off part of the training arrays.
    image_shape: [height, width] or [height, width, channels] of images stored as flat rows [N, D].
    channels: 3, or 1 for grey, to which images are converted; None for those of the array.
    max_value: the stored value of white (black is 0); None is 255 for integers, else 1.
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
        max_value: float | None = None,
        validation_fraction: float = 0.1,
        block_size: int = 1,
        seed: int = 0,
    ):
        check_range("block_size", block_size, 1, 2**40)
        self.path = existing_file("path", path, "npz")
        self.headers = read_headers(self.path)
        self.image_shape, self.max_value = image_shape, max_value
        self.validation_fraction, self.block_size, self.seed = validation_fraction, block_size, seed
        if (validation_labels_key is not None) != (labels_key is not None and validation_images_key is not None):
            raise ValueError(
                f"dataset.validation_labels_key={validation_labels_key}: images that are held out have labels if and "
                f"only if the others have. Give it with dataset.labels_key (here {labels_key}) and "
                f"dataset.validation_images_key (here {validation_images_key}), or none of the labels."
            )
        self.stored = shape = self._check_images("images_key", images_key)
        if channels is not None:
            shape = image_size(channels, list(shape[1:]))
        if names_key is not None and labels_key is None:
            raise ValueError(f"dataset.names_key={names_key}: names the classes of labels; give dataset.labels_key.")
        self.names = () if names_key is None else self._read_names(names_key)
        num_classes = 0 if labels_key is None else self._check_labels("labels_key", labels_key, images_key)
        self.keys = {"train": (images_key, labels_key)}
        if validation_images_key is None:
            self.sizes = split_sizes(self.headers[images_key].shape[0], validation_fraction)
        else:
            other = self._check_images("validation_images_key", validation_images_key)
            if other != self.stored:
                raise ValueError(f"{self.path}: {images_key} and {validation_images_key} differ in shape or channels.")
            if validation_labels_key is not None:
                self._check_labels("validation_labels_key", validation_labels_key, validation_images_key, num_classes)
            self.keys["validation"] = (validation_images_key, validation_labels_key)
            self.sizes = {split: self.headers[images].shape[0] for split, (images, _) in self.keys.items()}
        self.spec = image_spec(shape, num_classes, self.names)

    def open(self, split: str) -> list[Examples]:
        images_key, labels_key = self.keys.get(split, self.keys["train"])
        images = self._read_images(images_key)
        labels = {} if labels_key is None else {"label": self._read_labels(labels_key)}
        if "validation" not in self.keys:
            rows = split_rows(len(images), self.validation_fraction, self.seed, self.block_size)[split]
            images, labels = images[rows], {name: value[rows] for name, value in labels.items()}
        return [ArrayExamples(x=images, **labels)]

    def _header(self, option: str, key: str) -> Header:
        if key not in self.headers:
            held = ", ".join(f"{name} {header}" for name, header in self.headers.items())
            raise ValueError(f"dataset.{option}={key}: no such array in {self.path}, which holds {held}.")
        return self.headers[key]

    def _check_images(self, option: str, key: str) -> ImageShape:
        """(channels, height, width) of the images in an array. `ValueError` if it cannot hold images."""
        header = self._header(option, key)
        where = f"dataset.{option}={key}: {header}"
        if header.dtype.kind not in "buif" or len(header.shape) < 2 or 0 in header.shape:
            raise ValueError(f"{where} cannot be images. Store them as uint8 [N, height, width, channels].")
        shape = list(header.shape[1:])
        numbers = prod(header.shape)
        memory.check(header.nbytes + numbers, f"{where} needs", "give a file with fewer or smaller images")
        if self.image_shape is not None:
            if prod(shape) != prod(self.image_shape):
                raise ValueError(f"{where} does not fit dataset.image_shape={self.image_shape}.")
            shape = self.image_shape
        if len(shape) == 1:
            raise ValueError(f"{where} holds flat rows. Give dataset.image_shape=[HEIGHT,WIDTH] too.")
        if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (1, 3)):
            raise ValueError(f"{where} is not [N, height, width] or [N, height, width, 1 or 3]. Store it so.")
        height, width, channels = (*shape, 1)[:3]
        return channels, height, width

    def _check_labels(self, option: str, key: str, images_key: str, num_classes: int | None = None) -> int:
        """The number of classes, counted unless `num_classes` is given. Labels are small, so their values are read."""
        header = self._header(option, key)
        where = f"dataset.{option}={key}: {header}"
        count = self.headers[images_key].shape[0]
        check_labels(where, header, count)
        memory.check(header.nbytes + 16 * count, f"{where} needs", "give a file with fewer images")
        labels, self.names = classes_of(read_array(self.path, key), where, self.names)
        return len(self.names) or count_classes(labels, where, num_classes)

    def _read_labels(self, key: str) -> Tensor:
        return classes_of(read_array(self.path, key), key, self.names)[0]

    def _read_names(self, key: str) -> tuple[str, ...]:
        header = self._header("names_key", key)
        if header.dtype.kind not in "US" or len(header.shape) != 1:
            raise ValueError(f"dataset.names_key={key}: {header} cannot be names. Store one text for each class.")
        return tuple(texts_of(read_array(self.path, key)))

    def _read_images(self, key: str) -> Tensor:
        """An array as uint8 [N, C, H, W]."""
        array = read_array(self.path, key)
        integers = array.dtype.kind in "ui"
        white = self.max_value if self.max_value is not None else 255 if integers else 1
        low, high = float(array.min()), float(array.max())
        if not 0 <= low <= high <= white:  # also rejects NaN
            raise ValueError(f"{self.path}: {key} {_advice(array, low, high, white)}")
        if integers and self.max_value is None and high <= 1:
            raise ValueError(f"{self.path}: {key} holds only 0 and 1. Give dataset.max_value=1 to make 1 white.")
        if array.dtype != np.uint8 or white != 255:
            # In slices: a float copy of the whole array would take several times its memory.
            scaled = np.empty(array.shape, np.uint8)
            for start in range(0, len(array), 4096):
                part = slice(start, start + 4096)
                scaled[part] = np.rint(array[part].astype(np.float32) * (255 / white))
            array = scaled
        channels, height, width = self.stored
        images = torch.from_numpy(array.reshape(len(array), height, width, channels))
        return with_channels(images.permute(0, 3, 1, 2), self.spec.shape[0]).contiguous()


def _advice(array: np.ndarray, low: float, high: float, white: float) -> str:
    """What an array holds that is no brightness from 0 to `white`, and how to store it."""
    if not np.isfinite(low) or not np.isfinite(high):
        count = array.size - int(np.isfinite(array).sum())
        found = f"holds {count} values that are NaN or infinite, outside 0 to {white:g}."
        return f"{found} Store numbers in their place, as numpy.nan_to_num does."
    found = f"holds values from {low:g} to {high:g}, outside 0 to {white:g}."
    if low < 0:
        scale = "(x + 1) / 2" if low >= -1 and high <= 1 else f"(x - {low:g}) / {high - low:g}".replace("- -", "+ ")
        return f"{found} Black is 0: store them as floats from 0 to 1, by {scale}."
    number = next((2**bits - 1 for bits in (8, 10, 12, 16) if 1 < high < 2**bits), f"{high:g}")
    return f"{found} Give the value that means white, as in dataset.max_value={number}; black is 0."


def check_labels(where: str, header: Header, count: int, of: str = "images") -> None:
    """`ValueError` unless an array can hold the labels of `count` images. where: its source and header."""
    if header.dtype.kind not in "uiUS" or header.shape != (count,):
        raise ValueError(f"{where} cannot be the labels of {count} {of}. Store one integer, or one text, for each.")


def existing_file(key: str, path: str | None, kind: str) -> str:
    """`path`, the value of dataset.KEY, with ~ expanded. kind: "npy" or "npz". `ValueError` if there is no file."""
    if path is None:
        raise ValueError(f"dataset.{key} is not set. Give a .{kind} file, as in dataset.{key}=faces.{kind}")
    file = os.path.expanduser(path)
    if not os.path.isfile(file):
        raise ValueError(f"dataset.{key}={path}: no such file. Give a .{kind} file that numpy wrote.")
    return file


def read_array(path: str, key: str) -> np.ndarray:
    """Read an array of an .npz file whose header is valid. `ValueError` if its data is damaged."""
    try:
        with np.load(path) as file:  # refuses objects, which could run code
            return file[key]
    except DAMAGE as error:
        raise ValueError(f"{path}: its array {key} is damaged ({error}). Write the file again.") from error


def read_headers(path: str, key: str = "dataset.path") -> dict[str, Header]:
    """The header of each array of an .npz file by name. key: what gave the path, for messages."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {info.filename.removesuffix(".npy"): _read_header(archive, info) for info in archive.infolist()}
    except DAMAGE as error:
        raise ValueError(f"{key}={path} is not a sound .npz file ({error}). Write it by numpy.savez.") from error


def _read_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Header:
    """`ValueError` if a member holds less data than its header claims: numpy's own check overflows."""
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    with archive.open(info) as member:
        shape, _, dtype = readers[np.lib.format.read_magic(member)](member)
        header, held = Header(shape, dtype), info.file_size - member.tell()
    # Arrays of objects can run code when they are loaded: their headers are known, and nothing takes them.
    if not dtype.hasobject and (min(shape, default=0) < 0 or header.nbytes > held):
        raise ValueError(f"{info.filename} claims to be {header}, but holds {held} bytes")
    return header
