"""Which files below a folder are images, and a line on whatever else is there: nothing is left out in silence."""

import os
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from genlab.data.decoding import SUFFIXES
from genlab.system.text import printable

VALIDATION_FOLDERS = ("val", "valid", "validation", "test")
"""Names of the folder of held-out images, beside one called train; the first that exists is used."""

DEEPEST = 30
"""Maximum depth of subfolders; symbolic links may form cycles."""

_SHOWN = 4  # names in a line


class Listing(NamedTuple):
    """paths: of the images, sorted. notes: a line on the files that are none, if there are any."""

    paths: list[str]
    notes: tuple[str, ...]


def check_folder(path: str | None, example: str, key: str = "dataset.path", what: str = "images") -> str:
    """`path`, the value of `key`, with ~ expanded. `ValueError` unless it is a folder."""
    folder = os.path.expanduser(path or "")
    if not os.path.isdir(folder):
        problem = " is not set" if path is None else f"={path}: no such folder"
        raise ValueError(f"{key}{problem}. Give the folder that holds the {what}: {key}={example}")
    return folder


def list_images(
    folder: str, key: str = "dataset.path", suffixes: Sequence[str] = SUFFIXES, what: str = "images"
) -> Listing:
    """All images below `folder`, the value of `key`, by the endings of their names; or files with other `suffixes`.

    `ValueError` if there are none, or if a folder cannot be listed: without it, classes would have other numbers.
    """

    def refuse(error: OSError) -> None:
        raise _unlisted(key, error) from error

    found, others = [], Counter[str]()
    depth = len(Path(folder).parts)
    for parent, subfolders, names in os.walk(folder, followlinks=True, onerror=refuse):
        if len(Path(parent).parts) - depth > DEEPEST:
            raise ValueError(
                f"{key}: {parent} lies more than {DEEPEST} folders deep. Remove links that lead in circles."
            )
        if not os.access(parent, os.X_OK):
            refuse(PermissionError(0, "its files may not be opened", parent))
        visible = [name for name in names if not name.startswith(".")]
        others["hidden"] += len(names) - len(visible) + sum(name.startswith(".") for name in subfolders)
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in visible:
            path, ending = os.path.join(parent, name), os.path.splitext(name)[1].lower()
            if ending in suffixes:
                found.append(path)
            elif not os.path.exists(path):  # it may have led to a folder of images
                refuse(FileNotFoundError(0, "it is a broken link", path))
            else:
                others[ending or "without an ending"] += 1
    kinds = [f"{count} {kind}" for kind, count in (+others).most_common()]
    if not found:
        there = f", but {shown(kinds)}" if kinds else ""
        raise ValueError(f"{key}: no {what} in {folder}{there}. Give a folder with files in {' '.join(suffixes)}")
    return Listing(sorted(found), (printable(f"{key}: left out in {folder}: {shown(kinds)}"),) if kinds else ())


def left_beside(folder: str, used: Collection[str], key: str = "dataset.path") -> tuple[str, ...]:
    """A line on what is in `folder` besides the entries `used`, if there is anything."""
    try:
        others = sorted(set(os.listdir(folder)) - set(used))
    except OSError as error:
        raise _unlisted(key, error) from error
    line = f"{key}: left out in {folder}, beside {', '.join(used)}: {shown(others)}"
    return (printable(line),) if others else ()


def _unlisted(key: str, error: OSError) -> ValueError:
    return ValueError(
        f"{key}: {error.filename} cannot be listed ({error.strerror}). Make it readable, or move it away."
    )


def shown(names: Sequence[str], most: int = _SHOWN) -> str:
    """The first of `names`, and how many more there are, for a line."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return printable(", ".join(names[:most]) + more)
