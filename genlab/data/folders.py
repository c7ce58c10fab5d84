"""Images in folders: one dataset with optional classes, or two unpaired domains. Decoded when drawn."""

import os
from pathlib import Path

import torch

from genlab.contract.data import DataSpec, Field, image_spec
from genlab.contract.settings import Place
from genlab.data.images import ImageFiles, image_size
from genlab.data.source import SPLITS, Examples, Source
from genlab.data.splits import split_rows, split_sizes

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm")

DEEPEST = 30
"""Maximum depth of subfolders; symbolic links may form cycles."""


class ImageFolder(Source):
    """Any folder of images: `x` uint8 [N, channels, H, W], and `label` if subfolders are classes.

    Images may lie directly in the folder (no labels) or in its subfolders, at any depth. Two or more subfolders are
    the classes, sorted by name; a single one is not a class.

    path: the folder.
    size: height and width in pixels, or [height, width]; every image is scaled to cover it and centre-cropped.
    channels: 3, or 1 for grey.
    labels: False reads all images below the folder without labels.
    validation_fraction: fraction held out, drawn with `seed`.
    """

    def __init__(
        self,
        *,
        path: Place | None,
        size: int | list[int] = 64,
        channels: int = 3,
        labels: bool = True,
        validation_fraction: float = 0.1,
        seed: int = 0,
    ):
        shape = image_size(channels, size)
        root = check_folder(path, "/data/faces")
        self.paths = list_images(root)
        # First path component below the root: the subfolder, or "" for an image directly in the root.
        subfolders = [os.path.dirname(os.path.relpath(image, root)).split(os.sep)[0] for image in self.paths]
        classes = sorted(set(subfolders)) if labels else []
        if len(classes) > 1 and "" in classes:
            raise ValueError(
                f"dataset.path={path} holds images both directly and in subfolders ({', '.join(classes[1:4])}). "
                "Move one kind away, or give dataset.labels=false to take all of them without labels."
            )
        self.labels = torch.tensor([classes.index(subfolder) for subfolder in subfolders]) if len(classes) > 1 else None
        self.validation_fraction, self.seed = validation_fraction, seed
        self.spec = image_spec(shape) if self.labels is None else image_spec(shape, len(classes), classes)
        self.sizes = split_sizes(len(self.paths), validation_fraction, f"dataset.path={path}")

    def open(self, split: str) -> list[Examples]:
        rows = split_rows(len(self.paths), self.validation_fraction, self.seed)[split]
        labels = None if self.labels is None else self.labels[rows]
        return [ImageFiles("x", [self.paths[row] for row in rows.tolist()], self.spec.shape, labels)]


class UnpairedFolder(Source):
    """Two unpaired image domains: separate tables `a` and `b`, uint8 [N, channels, H, W].

    path: the folder that holds trainA and trainB, and for validation testA and testB.
    size, channels: as in `ImageFolder`.
    validation_fraction: fraction of trainA and trainB held out, drawn with `seed`, if there are no testA and testB.
    """

    may_provide = frozenset({"a", "b"})

    def __init__(
        self,
        *,
        path: Place | None,
        size: int | list[int] = 128,
        channels: int = 3,
        validation_fraction: float = 0.1,
        seed: int = 0,
    ):
        shape = image_size(channels, size)
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
        self.paths = {}
        for index, domain in enumerate("ab"):
            folder = os.path.join(root, f"train{domain.upper()}")
            train = list_images(folder)
            if tests:
                self.paths[domain] = {"train": train, "validation": list_images(os.path.join(root, tests[index]))}
            else:
                rows = split_rows(len(train), validation_fraction, seed, what=f"dataset.path={path}: {folder}")
                self.paths[domain] = {split: [train[row] for row in rows[split].tolist()] for split in SPLITS}
        self.spec = DataSpec({domain: Field("image", shape) for domain in "ab"})
        self.sizes = {split: max(len(paths[split]) for paths in self.paths.values()) for split in SPLITS}

    def open(self, split: str) -> list[Examples]:
        return [ImageFiles(domain, paths[split], self.spec.shape) for domain, paths in self.paths.items()]


def check_folder(path: str | None, example: str, key: str = "dataset.path") -> str:
    """`path`, the value of `key`, with ~ expanded. `ValueError` unless it is a folder."""
    folder = os.path.expanduser(path or "")
    if not os.path.isdir(folder):
        problem = " is not set" if path is None else f"={path}: no such folder"
        raise ValueError(f"{key}{problem}. Give the folder that holds the images: {key}={example}")
    return folder


def list_images(folder: str, key: str = "dataset.path") -> list[str]:
    """Sorted paths of all images below `folder`, the value of `key`, without hidden ones."""
    found = []
    depth = len(Path(folder).parts)
    for parent, subfolders, names in os.walk(folder, followlinks=True):
        if len(Path(parent).parts) - depth > DEEPEST:
            raise ValueError(
                f"{key}: {parent} lies more than {DEEPEST} folders deep. Remove links that lead in circles."
            )
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        visible = (name for name in names if name.lower().endswith(SUFFIXES) and not name.startswith("."))
        found += [os.path.join(parent, name) for name in visible]
    if not found:
        raise ValueError(f"{key}: no images in {folder}. Give a folder with files that end in {' '.join(SUFFIXES)}")
    return sorted(found)
