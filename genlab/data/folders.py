"""Images in folders: one dataset with optional classes, or two unpaired domains. Decoded when drawn."""

import os

import torch

from genlab.contract.data import DataSpec, Field, ImageShape, image_spec
from genlab.contract.settings import Place
from genlab.data.images import SKIP, ImageFiles, image_size, sound_rows, without_damaged
from genlab.data.listing import Listing, check_folder, left_beside, list_images, shown
from genlab.data.own_size import size_for
from genlab.data.source import SPLITS, Examples, Source
from genlab.data.splits import split_rows, split_sizes
from genlab.system.text import natural_order


class ImageFolder(Source):
    """Any folder of images: `x` uint8 [N, channels, H, W], and `label` if subfolders are classes.

    Images may lie directly in the folder (no labels) or in its subfolders, at any depth. Two or more subfolders are
    the classes, in the natural order of their names (2 before 10); a single one is not a class.

    path: the folder.
    size: height and width in pixels, or [height, width]; every image is scaled to cover it and centre-cropped. None:
        see `size_for`.
    channels: 3, or 1 for grey.
    labels: False reads all images below the folder without labels.
    skip_damaged: True leaves out files that cannot be read; they are found by decoding all of them.
    validation_fraction: fraction held out, drawn with `seed`.
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
        found = list_images(root)
        own = size_for(size, found.paths, otherwise=64)
        shape = image_size(channels, own.value)
        self.paths, notes = sound_images(found, shape, skip_damaged)
        self.settled, self.notes = own.settled, (*own.notes, *notes)
        # First path component below the root: the subfolder, or "" for an image directly in the root.
        subfolders = [os.path.dirname(os.path.relpath(image, root)).split(os.sep)[0] for image in self.paths]
        classes = natural_order(set(subfolders)) if labels else []
        if len(classes) > 1 and "" in classes:
            raise ValueError(
                f"dataset.path={path} holds images both directly and in subfolders ({', '.join(classes[1:4])}). "
                "Move one kind away, or give dataset.labels=false to take all of them without labels."
            )
        if classes not in ([], [""]) and (empty := natural_order(_folders(root) - set(classes))):
            raise ValueError(
                f"dataset.path={path}: no images in {shown(empty)}, and subfolders are classes. Move away what is no "
                "class, or give dataset.labels=false to take all images without labels."
            )
        self.labels = torch.tensor([classes.index(subfolder) for subfolder in subfolders]) if len(classes) > 1 else None
        self.validation_fraction, self.seed = validation_fraction, seed
        self.spec = image_spec(shape) if self.labels is None else image_spec(shape, len(classes), classes)
        self.sizes = split_sizes(len(self.paths), validation_fraction, f"dataset.path={path}")

    def open(self, split: str) -> list[Examples]:
        rows = split_rows(len(self.paths), self.validation_fraction, self.seed)[split]
        labels = None if self.labels is None else self.labels[rows]
        paths = [self.paths[row] for row in rows.tolist()]
        return [ImageFiles("x", paths, self.spec.shape, labels, skip=SKIP, others=self.paths)]


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
