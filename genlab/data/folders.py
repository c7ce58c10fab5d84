"""Images in folders: one dataset with optional classes, or two unpaired domains. Decoded when drawn."""

import os
from collections.abc import Sequence

import torch

from genlab.contract.data import DataSpec, Field, ImageShape, image_spec
from genlab.contract.settings import Place
from genlab.data.images import SKIP, ImageFiles, image_size, sound_rows, without_damaged
from genlab.data.listing import VALIDATION_FOLDERS, Listing, check_folder, left_beside, list_images, shown
from genlab.data.own_size import size_for
from genlab.data.source import SPLITS, Examples, Source
from genlab.data.splits import split_rows
from genlab.system.text import natural_order, printable


class ImageFolder(Source):
    """Any folder of images: `x` uint8 [N, channels, H, W], and `label` if subfolders are classes.

    Images may lie directly in the folder (no labels) or in its subfolders, at any depth. Two or more subfolders are
    the classes, in the natural order of their names (2 before 10); a single one is not a class.

    path: the folder. If it has subfolders train and val (or valid, validation, test), each is such a folder.
    size: height and width in pixels, or [height, width]; every image is scaled to cover it and centre-cropped. None:
        see `size_for`.
    channels: 3, or 1 for grey.
    labels: False reads all images below the folder without labels.
    skip_damaged: True leaves out files that cannot be read; they are found by decoding all of them.
    validation_fraction: fraction held out, drawn with `seed`, if no folder is held out.
    """

    def __init__(
        self,
        *,
        path: Place | None,
        size: int | list[int] | None = None,
        channels: int = 3,
        labels: bool = True,
        skip_damaged: bool = False,
        validation_fraction: float = 0.1,
        seed: int = 0,
    ):
        root = check_folder(path, "/data/faces")
        held_out = _held_out(root) if labels else None
        train = root if held_out is None else os.path.join(root, "train")
        if labels:
            _refuse_domains(root, f"dataset.path={path}")
        listed = [list_images(place) for place in (train, *([os.path.join(root, held_out)] if held_out else []))]
        own = size_for(size, [image for paths, _ in listed for image in paths], otherwise=64)
        shape = image_size(channels, own.value)
        found, notes = sound_images(listed[0], shape, skip_damaged)
        subfolders = _subfolders(train, found)
        classes = _classes(train, subfolders, f"dataset.path={path}") if labels else []
        numbers = torch.tensor([classes.index(name) for name in subfolders]) if classes else None
        self.tables: dict[str, tuple[list[str], torch.Tensor | None]]
        if held_out is None:
            rows = split_rows(len(found), validation_fraction, seed, what=f"dataset.path={path}")
            self.tables = {
                split: ([found[row] for row in rows[split].tolist()], None if numbers is None else numbers[rows[split]])
                for split in SPLITS
            }
        else:
            others, more = sound_images(listed[1], shape, skip_damaged)
            unseen = _numbers_like(classes, _subfolders(os.path.join(root, held_out), others), held_out, str(path))
            self.tables = {"train": (found, numbers), "validation": (others, unseen)}
            split_note = f"dataset.path: {root}: images of train are trained on, those of {held_out} are held out"
            notes = (printable(split_note), *left_beside(root, ("train", held_out)), *notes, *more)
        self.settled = own.settled
        self.notes = (*own.notes, *_note_on_pairs(classes, found, subfolders), *notes)
        self.spec = image_spec(shape, len(classes), classes)
        self.sizes = {split: len(paths) for split, (paths, _) in self.tables.items()}

    def open(self, split: str) -> list[Examples]:
        paths, labels = self.tables[split]
        every = [path for paths, _ in self.tables.values() for path in paths]
        return [ImageFiles("x", paths, self.spec.shape, labels, skip=SKIP, others=every)]


def _held_out(root: str) -> str | None:
    """The subfolder of held-out images, if there is one beside train."""
    names = _folders(root)
    return next((name for name in VALIDATION_FOLDERS if name in names), None) if "train" in names else None


def _subfolders(root: str, paths: Sequence[str]) -> list[str]:
    """By image the first subfolder of the root on its path, "" for an image directly in the root."""
    return [os.path.dirname(os.path.relpath(path, root)).split(os.sep)[0] for path in paths]


def _classes(root: str, subfolders: Sequence[str], asked: str) -> list[str]:
    """Names of the classes, none if subfolders are no classes. `ValueError` if that is not clear."""
    classes = natural_order(set(subfolders))
    if len(classes) > 1 and "" in classes:
        raise ValueError(
            f"{asked} holds images both directly and in subfolders ({', '.join(classes[1:4])}). "
            "Move one kind away, or give dataset.labels=false to take all of them without labels."
        )
    if classes not in ([], [""]) and (empty := natural_order(_folders(root) - set(classes))):
        raise ValueError(
            f"{asked}: no images in {shown(empty)}, and subfolders are classes. Move away what is no "
            "class, or give dataset.labels=false to take all images without labels."
        )
    return classes if len(classes) > 1 else []


def _numbers_like(classes: list[str], subfolders: list[str], held_out: str, path: str) -> torch.Tensor | None:
    """Labels of held-out images, if those of train have some. `ValueError` if they are not of the same classes."""
    if not classes:
        return None
    if strange := natural_order(set(subfolders) - set(classes)):
        where = f"in {shown(strange)}, which train does not have" if any(strange) else "in no subfolders, as train does"
        raise ValueError(
            f"dataset.path={path}: {held_out} has images {where}. Give both folders the same classes, or hold out a "
            f"part of train: dataset.path={os.path.join(path, 'train')}"
        )
    return torch.tensor([classes.index(name) for name in subfolders])


def _refuse_domains(root: str, asked: str) -> None:
    """`ValueError` if a folder is a set of two unpaired domains, whose folders would be taken for classes."""
    if {"trainA", "trainB"} <= _folders(root):
        raise ValueError(
            f"{asked}: holds trainA and trainB, unpaired images of two domains. Give dataset=unpaired-folder {asked}, "
            "or dataset.labels=false to take all images as one set."
        )


def _note_on_pairs(classes: Sequence[str], paths: Sequence[str], subfolders: Sequence[str]) -> list[str]:
    """A line if the classes are called a and b and hold images of the same names, as pairs do."""
    if [name.lower() for name in classes] != ["a", "b"]:
        return []
    first, second = (
        {
            os.path.splitext(os.path.basename(path))[0]
            for path, own in zip(paths, subfolders, strict=True)
            if own == name
        }
        for name in classes
    )
    note = f"dataset.path: {classes[0]} and {classes[1]} are classes; their images have the same names: if they are "
    return [note + "pairs, give dataset=paired-folder"] if first == second else []


class UnpairedFolder(Source):
    """Two unpaired image domains: separate tables `a` and `b`, uint8 [N, channels, H, W].

    path: the folder that holds trainA and trainB, and for validation testA and testB.
    size, channels, skip_damaged: as in `ImageFolder`.
    validation_fraction: fraction of trainA and trainB held out, drawn with `seed`, if there are no testA and testB.
    """

    may_provide = frozenset({"a", "b"})

    def __init__(
        self,
        *,
        path: Place | None,
        size: int | list[int] | None = None,
        channels: int = 3,
        skip_damaged: bool = False,
        validation_fraction: float = 0.1,
        seed: int = 0,
    ):
        root = check_folder(path, "/data/horse2zebra")
        missing = [name for name in ("trainA", "trainB") if not os.path.isdir(os.path.join(root, name))]
        if missing:
            raise ValueError(
                f"dataset.path={path} has no folder {' and no '.join(missing)}. Put the training images of the two "
                "domains into its subfolders trainA and trainB, those for validation into testA and testB."
            )
        tests = [name for name in ("testA", "testB") if os.path.isdir(os.path.join(root, name))]
        if len(tests) == 1:
            raise ValueError(f"dataset.path={path} has {tests[0]} alone. Give both testA and testB, or neither.")
        folders = ("trainA", "trainB", *tests)
        listed = {name: list_images(os.path.join(root, name)) for name in folders}
        own = size_for(size, [path for paths, _ in listed.values() for path in paths], otherwise=128)
        shape = image_size(channels, own.value)
        found = {name: sound_images(listing, shape, skip_damaged) for name, listing in listed.items()}
        notes = (note for _, notes in found.values() for note in notes)
        self.settled, self.notes = own.settled, (*own.notes, *left_beside(root, folders), *notes)
        self.paths = {}
        for index, domain in enumerate("ab"):
            folder = f"train{domain.upper()}"
            train, _ = found[folder]
            if tests:
                self.paths[domain] = {"train": train, "validation": found[tests[index]][0]}
            else:
                rows = split_rows(len(train), validation_fraction, seed, what=f"dataset.path={path}: {folder}")
                self.paths[domain] = {split: [train[row] for row in rows[split].tolist()] for split in SPLITS}
        self.spec = DataSpec({domain: Field("image", shape) for domain in "ab"})
        self.sizes = {split: max(len(paths[split]) for paths in self.paths.values()) for split in SPLITS}

    def open(self, split: str) -> list[Examples]:
        every = [path for splits in self.paths.values() for paths in splits.values() for path in paths]
        return [
            ImageFiles(domain, paths[split], self.spec.shape, skip=SKIP, others=every)
            for domain, paths in self.paths.items()
        ]


def sound_images(found: Listing, shape: ImageShape, skip_damaged: bool) -> Listing:
    """The images in a folder, with a line on those that were left out, if damaged ones are skipped."""
    if not skip_damaged:
        return found
    rows = sound_rows(found.paths, shape)
    return Listing([found.paths[row] for row in rows], (*found.notes, *without_damaged(found.paths, rows)))


def _folders(root: str) -> set[str]:
    """Names of the subfolders, without hidden ones."""
    return {name for name in os.listdir(root) if not name.startswith(".") and os.path.isdir(os.path.join(root, name))}
