"""Pairs of images in folders: two folders with the same names, or files that hold both images side by side."""

import os
from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

from genlab.contract.data import DataSpec, Field
from genlab.contract.settings import Place
from genlab.data.checks import check_choice
from genlab.data.folders import check_folder, list_images
from genlab.data.images import Half, ImageFiles, image_size
from genlab.data.source import Examples, Source
from genlab.data.splits import split_rows

VALIDATION_FOLDERS = ("val", "validation", "test")
"""The first that exists is used."""

_SUBFOLDERS = (("a", "b"), ("A", "B"))
_NAMED = 3  # files named in a message


class Files(NamedTuple):
    """Paths of the images of a and of b, row by row; the same paths if the two are side by side."""

    a: list[str]
    b: list[str]
    side_by_side: bool


class PairedFolder(Source):
    """Pairs a, b in one table, uint8 [N, channels, H, W] each; the two may differ in channels.

    path: a folder with two subfolders a and b (or A and B) that hold images of the same names, whatever their endings;
        or a folder of files that hold two images side by side. If it has subfolders train and val (or validation, or
        test), each is such a folder; so are trainA with trainB and testA with testB.
    a: "left" or "right": the image of a side-by-side file that is a; the other is b.
    size: height and width in pixels, or [height, width]; every image is scaled to cover it and centre-cropped.
    channels: 3, or 1 for grey; or those of [a, b].
    validation_folder: folder of held-out pairs, as in test; None for the first of `VALIDATION_FOLDERS` that exists.
    validation_fraction: fraction held out, drawn with `seed`, if there is no such folder.
    """

    may_provide = frozenset({"a", "b", "pairs"})

    def __init__(
        self,
        *,
        path: Place | None,
        a: Half = "left",
        size: int | list[int] = 128,
        channels: int | list[int] = 3,
        validation_folder: str | None = None,
        validation_fraction: float = 0.1,
        seed: int = 0,
    ):
        check_choice("a", a, ("left", "right"))
        both = [channels, channels] if isinstance(channels, int) else channels
        if len(both) != 2:
            raise ValueError(f"dataset.channels={channels}: give 1 or 3, or those of a and b, as in [1,3]")
        shapes = [image_size(number, size) for number in both]
        root = check_folder(path, "/data/facades")
        self.files = _find(root, validation_folder)
        if "validation" not in self.files:
            whole = self.files["train"]
            for split, rows in split_rows(len(whole.a), validation_fraction, seed).items():
                first, second = ([paths[row] for row in rows.tolist()] for paths in (whole.a, whole.b))
                self.files[split] = Files(first, second, whole.side_by_side)
        if a == "right" and not all(files.side_by_side for files in self.files.values()):
            raise ValueError("dataset.a=right: is for images side by side; here two folders say which images are a")
        self.halves: tuple[Half, Half] = ("left", "right") if a == "left" else ("right", "left")
        self.spec = DataSpec(
            {name: Field("image", shape) for name, shape in zip("ab", shapes, strict=True)}, paired=True
        )
        self.sizes = {split: len(files.a) for split, files in self.files.items()}

    def open(self, split: str) -> list[Examples]:
        files = self.files[split]
        halves = self.halves if files.side_by_side else (None, None)
        a, b = (
            ImageFiles(name, paths, self.spec[name].shape, half=half)
            for name, paths, half in zip("ab", (files.a, files.b), halves, strict=True)
        )
        return [Joined(a, b)]


class Joined(Examples):
    """Tables of equal length as one: a row has the fields of all."""

    def __init__(self, *tables: Examples):
        self.tables = tables
        self.nbytes = sum(table.nbytes for table in tables)

    def __len__(self) -> int:
        return len(self.tables[0])

    def rows(self, index: Tensor) -> dict[str, Tensor]:
        return {name: value for table in self.tables for name, value in table.rows(index).items()}

    def load(self) -> dict[str, Tensor]:
        return {name: value for table in self.tables for name, value in table.load().items()}


def _find(root: str, validation_folder: str | None) -> dict[str, Files]:
    """The files for "train", and for "validation" if a folder holds them."""
    if (train := _named(root, "train")) is None:
        if validation_folder is not None:
            raise ValueError(f"dataset.validation_folder={validation_folder}: needs a folder train beside it in {root}")
        return {"train": _pairs_in(root)}
    found = {"train": train}
    for name in VALIDATION_FOLDERS if validation_folder is None else (validation_folder,):
        if (held_out := _named(root, name)) is not None:
            return found | {"validation": held_out}
    if validation_folder is not None:
        raise ValueError(f"dataset.validation_folder={validation_folder}: {root} has no folder of this name")
    return found


def _named(root: str, split: str) -> Files | None:
    """The pairs in the folder `split`, or in its two folders, as in trainA and trainB; None if there is neither."""
    a, b = (os.path.join(root, split + side) for side in "AB")
    if os.path.isdir(a) or os.path.isdir(b):
        return _matched(a, b)
    return _pairs_in(os.path.join(root, split)) if os.path.isdir(os.path.join(root, split)) else None


def _pairs_in(folder: str) -> Files:
    """The pairs in one folder: in two subfolders, or side by side."""
    for names in _SUBFOLDERS:
        a, b = (os.path.join(folder, name) for name in names)
        if os.path.isdir(a) or os.path.isdir(b):
            return _matched(a, b)
    files = [path for path in list_images(folder) if os.path.dirname(path) == folder.rstrip(os.sep)]
    if not files:
        raise ValueError(
            f"dataset.path: {folder} holds its images in subfolders that are not called a and b. Rename the two whose "
            "images belong together to a and b, or put files with both images side by side directly into the folder."
        )
    return Files(files, files, side_by_side=True)


def _matched(a: str, b: str) -> Files:
    """The images of two folders that have the same names. `ValueError` if one has no partner."""
    sides = []
    for folder, other in ((a, b), (b, a)):
        if not os.path.isdir(folder):
            raise ValueError(f"dataset.path: {other} has no folder {os.path.basename(folder)} beside it. Give both.")
        paths = list_images(folder)
        sides.append({os.path.splitext(os.path.relpath(path, folder))[0]: path for path in paths})
        if len(sides[-1]) < len(paths):
            raise ValueError(
                f"dataset.path: {folder} holds images whose names differ by their endings alone. Rename them."
            )
    if problems := [*_without_partner(sides[0], sides[1], b), *_without_partner(sides[1], sides[0], a)]:
        raise ValueError(f"dataset.path: {'; '.join(problems)}. Pairs have the same names in both folders.")
    names = sorted(sides[0])
    return Files([sides[0][name] for name in names], [sides[1][name] for name in names], side_by_side=False)


def _without_partner(paths: dict[str, str], others: dict[str, str], other_folder: str) -> Iterator[str]:
    """A text that names the first of `paths` whose names are not among `others`."""
    lonely = sorted(paths.keys() - others.keys())
    if lonely:
        more = f" and {len(lonely) - _NAMED} more" if len(lonely) > _NAMED else ""
        shown = ", ".join(paths[name] for name in lonely[:_NAMED])
        yield f"{shown}{more} {'have' if len(lonely) > 1 else 'has'} no partner in {other_folder}"
