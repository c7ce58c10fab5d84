"""Pairs of images in folders: two folders with the same names, or files that hold both images side by side."""

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from genlab.contract.data import DataSpec, Field, ImageShape
from genlab.contract.settings import Place
from genlab.data.checks import check_choice
from genlab.data.decoding import Half
from genlab.data.images import SKIP, ImageFiles, image_size, sound_rows, without_damaged
from genlab.data.listing import VALIDATION_FOLDERS, check_folder, left_beside, list_images, shown
from genlab.data.own_size import size_for
from genlab.data.source import Examples, Source
from genlab.data.splits import split_rows
from genlab.media.label_maps import colour_without_class, read_palette

_SUBFOLDERS = (("a", "b"), ("A", "B"))

_CHECKED_MAPS = 16
"""Label maps that are decoded to see whether the palette has their colours."""


class Files(NamedTuple):
    """Paths of the images of a and of b, row by row; the same paths if the two are side by side. notes: lines on what
    was left out."""

    a: list[str]
    b: list[str]
    side_by_side: bool
    notes: tuple[str, ...] = ()

    def rows(self, rows: list[int]) -> "Files":
        """The pairs at `rows`."""
        return self._replace(a=[self.a[row] for row in rows], b=[self.b[row] for row in rows])


class PairedFolder(Source):
    """Pairs a, b in one table, uint8 [N, channels, H, W] each; the two may differ in channels.

    path: a folder with two subfolders a and b (or A and B) that hold images of the same names, whatever their endings;
        or a folder of files that hold two images side by side. If it has subfolders train and val (or valid,
        validation, test), each is such a folder; so are trainA with trainB and testA with testB.
    a: "left" or "right": the image of a side-by-side file that is a; the other is b.
    size: height and width in pixels, or [height, width]; every image is scaled to cover it and centre-cropped. None:
        see `size_for`.
    channels: 3, or 1 for grey; or those of [a, b].
    palette: colours of the classes of a label map, as in "0000aa" (hexadecimal red, green and blue); None for none.
    label_map: "a" or "b": the side that is one.
    skip_damaged: True leaves out pairs of which an image cannot be read; they are found by decoding all of them.
    validation_folder: folder of held-out pairs, as in test; None for the first of `VALIDATION_FOLDERS` that exists.
    validation_fraction: fraction held out, drawn with `seed`, if there is no such folder.
    """

    may_provide = frozenset({"a", "b", "pairs"})

    def __init__(
        self,
        *,
        path: Place | None,
        a: Half = "left",
        size: int | list[int] | None = None,
        channels: int | list[int] = 3,
        palette: list[str] | None = None,
        label_map: Literal["a", "b"] = "a",
        skip_damaged: bool = False,
        validation_folder: str | None = None,
        validation_fraction: float = 0.1,
        seed: int = 0,
    ):
        check_choice("a", a, ("left", "right"))
        both = [channels, channels] if isinstance(channels, int) else channels
        if len(both) != 2:
            raise ValueError(f"dataset.channels={channels}: give 1 or 3, or those of a and b, as in [1,3]")
        root = check_folder(path, "/data/facades")
        self.files = _find(root, validation_folder)
        if a == "right" and not all(files.side_by_side for files in self.files.values()):
            raise ValueError("dataset.a=right: is for images side by side; here two folders say which images are a")
        self.halves: tuple[Half, Half] = ("left", "right") if a == "left" else ("right", "left")
        files = self.files["train"]
        own = size_for(size, files.a if files.side_by_side else [*files.a, *files.b], 128, halves=files.side_by_side)
        shapes = [image_size(number, own.value) for number in both]
        if skip_damaged:
            self.files = {split: self._sound(files, shapes) for split, files in self.files.items()}
        notes = dict.fromkeys(note for files in self.files.values() for note in files.notes)
        self.settled, self.notes = own.settled, (*own.notes, *notes)
        if "validation" not in self.files:
            whole = self.files["train"]
            rows = split_rows(len(whole.a), validation_fraction, seed)
            self.files = {split: whole.rows(rows[split].tolist()) for split in rows}
        fields = {name: Field("image", shape) for name, shape in zip("ab", shapes, strict=True)}
        if palette is not None:
            check_choice("label_map", label_map, ("a", "b"))
            fields[label_map] = replace(fields[label_map], palette=read_palette(palette, fields[label_map].shape[0]))
        self.spec = DataSpec(fields, paired=True)
        self.sizes = {split: len(files.a) for split, files in self.files.items()}

    def _check_label_maps(self, name: str) -> None:
        """`ValueError` if one of the first label maps has a colour that the palette lacks."""
        table = self._side("train", name)
        rows = torch.arange(min(len(table), _CHECKED_MAPS))
        for row, image in zip(rows.tolist(), table.rows(rows)[name], strict=True):
            if colour := colour_without_class(image, self.spec[name].palette):
                raise ValueError(
                    f"dataset.palette: {table.paths[row]} has the colour {colour}, which is near none of the "
                    f"{len(self.spec[name].palette)} given; add it, or correct dataset.label_map={name}"
                )

    def _side(self, split: str, name: str) -> ImageFiles:
        """The images of a or of b."""
        files = self.files[split]
        every = [path for files in self.files.values() for path in (*files.a, *files.b)]
        paths, half = (files.a, self._halves_of(files)[0]) if name == "a" else (files.b, self._halves_of(files)[1])
        mixing = not self.spec[name].palette
        return ImageFiles(name, paths, self.spec[name].shape, half=half, mixing=mixing, skip=SKIP, others=every)

    def open(self, split: str) -> list[Examples]:
        for name in "ab" if split == "train" else "":
            if self.spec[name].palette:
                self._check_label_maps(name)
        return [Joined(self._side(split, "a"), self._side(split, "b"))]

    def _halves_of(self, files: Files) -> tuple[Half | None, Half | None]:
        return self.halves if files.side_by_side else (None, None)

    def _sound(self, files: Files, shapes: list[ImageShape]) -> Files:
        """The pairs of which both images can be read."""
        sides = zip((files.a, files.b), shapes, self._halves_of(files), strict=True)
        first, second = (set(sound_rows(paths, shape, half)) for paths, shape, half in sides)
        rows = sorted(first & second)
        if files.side_by_side:
            notes = without_damaged(files.a, rows)
        else:
            notes = without_damaged([*files.a, *files.b], [*first, *(len(files.a) + row for row in second)])
        return files.rows(rows)._replace(notes=(*files.notes, *notes))


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
    found, used = {"train": train}, {"train"}
    for name in VALIDATION_FOLDERS if validation_folder is None else (validation_folder,):
        if (held_out := _named(root, name)) is not None:
            found["validation"] = held_out
            used.add(name)
            break
    if validation_folder is not None and len(found) == 1:
        raise ValueError(f"dataset.validation_folder={validation_folder}: {root} has no folder of this name")
    entries = [split + side for split in sorted(used) for side in ("", "A", "B")]
    beside = left_beside(root, [name for name in entries if os.path.isdir(os.path.join(root, name))])
    return found | {"train": train._replace(notes=(*beside, *train.notes))}


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
            files = _matched(a, b)
            return files._replace(notes=(*left_beside(folder, names), *files.notes))
    found, notes = list_images(folder)
    paths = [path for path in found if os.path.dirname(path) == folder.rstrip(os.sep)]
    if not paths:
        raise ValueError(
            f"dataset.path: {folder} holds its images in subfolders that are not called a and b. Rename the two whose "
            "images belong together to a and b, or put files with both images side by side directly into the folder."
        )
    if deeper := sorted(set(found) - set(paths)):
        notes = (*notes, f"dataset.path: left out {len(deeper)} images in subfolders: {shown(deeper)}")
    return Files(paths, paths, True, notes)


def _matched(a: str, b: str) -> Files:
    """The images of two folders that have the same names. `ValueError` if one has no partner."""
    sides: list[dict[str, str]] = []
    notes: list[str] = []
    for folder, other in ((a, b), (b, a)):
        if not os.path.isdir(folder):
            raise ValueError(f"dataset.path: {other} has no folder {os.path.basename(folder)} beside it. Give both.")
        paths, left_out = list_images(folder)
        notes += left_out
        sides.append({os.path.splitext(os.path.relpath(path, folder))[0]: path for path in paths})
        if len(sides[-1]) < len(paths):
            raise ValueError(
                f"dataset.path: {folder} holds images whose names differ by their endings alone. Rename them."
            )
    if problems := [*_without_partner(sides[0], sides[1], b), *_without_partner(sides[1], sides[0], a)]:
        raise ValueError(f"dataset.path: {'; '.join(problems)}. Pairs have the same names in both folders.")
    names = sorted(sides[0])
    a_paths, b_paths = ([side[name] for name in names] for side in sides)
    return Files(a_paths, b_paths, False, tuple(notes))


def _without_partner(paths: dict[str, str], others: dict[str, str], other_folder: str) -> Iterator[str]:
    """A text that names the first of `paths` whose names are not among `others`."""
    if lonely := sorted(paths.keys() - others.keys()):
        files = shown([paths[name] for name in lonely])
        yield f"{files} {'have' if len(lonely) > 1 else 'has'} no partner in {other_folder}"
