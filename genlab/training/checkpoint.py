"""Checkpoints: plain dicts of tensors and builtins, written whole or not at all, checked and never unpickled.

A file is what `torch.save` writes, a zip archive, with the SHA-256 of all bytes before it as the archive's comment:
other programs read it as ever, and a flipped bit or a missing end is seen before anything is taken from it.
"""

import hashlib
import logging
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO

import torch

from genlab.files import replacing
from genlab.training import untrusted

log = logging.getLogger("genlab")

FORMAT = 2

_NUMBERED = re.compile(r"step_(\d+)\.pt")

_LABEL = b"genlab-sha256:"
_COMMENT_BYTES = len(_LABEL) + 64


class TooNew(ValueError):
    """A sound checkpoint of a newer version: no reason to go on from an older one."""


@dataclass(frozen=True)
class Start:
    """Where a run goes on from.

    path: a checkpoint of its folder, None where it has none and begins again.
    damaged: newer checkpoints that were passed over.
    """

    path: Path | None = None
    damaged: tuple[Path, ...] = ()


class Unwritable(RuntimeError):
    """A checkpoint could not be written; those before it are untouched."""


def save(state: dict, path: Path) -> None:
    """Write `state` to `path`, whole or not at all, so that a loss of power leaves it. `Unwritable` if not."""
    try:
        with replacing(path) as file:
            torch.save({"format": FORMAT, **state}, file)
            _seal(file)
    except (OSError, RuntimeError) as error:  # RuntimeError: how torch tells that its file could not be written
        free = shutil.disk_usage(path.parent).free / 2**20
        reason = (
            os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error).partition("\n")[0]
        )
        raise Unwritable(
            f"{path}: cannot be written ({reason}; {free:.1f} MiB are free); earlier checkpoints are untouched"
        ) from error


def _seal(file: BinaryIO) -> None:
    """Append the digest as the comment of the zip archive that `file` holds."""
    file.seek(-2, os.SEEK_END)  # an archive ends with the length of its comment
    file.write(_COMMENT_BYTES.to_bytes(2, "little"))
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(0, os.SEEK_END)
    file.write(_LABEL + digest.encode())


def _check_seal(path: Path) -> None:
    """`ValueError` where the file is not, byte for byte, what was written."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _COMMENT_BYTES))
        comment = file.read()
        if not comment.startswith(_LABEL):
            raise ValueError("it does not end as a checkpoint does: it was cut off, or GenLab did not write it")
        digest, remaining = hashlib.sha256(), size - _COMMENT_BYTES
        file.seek(0)
        while remaining and (part := file.read(min(remaining, 2**20))):
            digest.update(part)
            remaining -= len(part)
    if comment[len(_LABEL) :] != digest.hexdigest().encode():
        raise ValueError("its bytes do not match their checksum")


def load(path: Path, device: str | torch.device = "cpu") -> dict:
    """Read a checkpoint. `ValueError` where it is missing, damaged, of another format, or more than plain data."""
    if not path.is_file():
        raise ValueError(f"{path}: no such checkpoint")
    try:
        _check_seal(path)
        state = untrusted.read(path, device)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: not a readable checkpoint ({error}); it may be damaged") from error
    found = state.get("format") if isinstance(state, dict) else None
    if isinstance(found, int) and found > FORMAT:
        raise TooNew(f"{path}: written by a newer version of GenLab (format {found}, this one reads {FORMAT}); upgrade")
    if found != FORMAT:
        raise ValueError(f"{path}: checkpoint format {found!r}, but this version of GenLab reads format {FORMAT}")
    return state


def newest(folder: Path) -> tuple[Path, dict, dict[Path, str]]:
    """The newest sound checkpoint of a run folder: its path, its state, and why each newer one cannot be read.

    `ValueError` where there is none.
    """
    damaged: dict[Path, str] = {}
    for path in _candidates(folder):
        try:
            return path, load(path), damaged
        except TooNew:
            raise
        except ValueError as error:
            damaged[path] = str(error)
    if damaged:
        problem = f"{folder}: none of its checkpoints can be read; put a copy back, or begin anew"
        raise ValueError("\n".join([problem, *damaged.values()]))
    raise ValueError(f"{folder}: holds no checkpoints/last.pt; give a run folder or a checkpoint file")


def _candidates(folder: Path) -> list[Path]:
    """All checkpoints of a run, the newest first; those that are another name of one before it are left out."""
    place = folder / "checkpoints"
    found: dict[tuple[int, int], Path] = {}
    for path in (place / "last.pt", *reversed(numbered(place)), place / "best.pt"):
        if path.exists():
            status = path.stat()
            found.setdefault((status.st_dev, status.st_ino), path)
    return list(found.values())


def find(run: str | Path) -> tuple[Path, dict]:
    """The checkpoint that `run` means and its state: a checkpoint file, or the newest sound one of a run folder."""
    path = Path(run)
    if path.is_file():
        return path, load(path)
    if not path.is_dir():
        raise ValueError(f"{run}: no such run folder or checkpoint")
    path, state, damaged = newest(path)
    for line in damaged.values():
        log.warning("%s; %s of step %d is used instead", line, path.name, state["step"])
    return path, state


def numbered(folder: Path) -> list[Path]:
    """The files `step_NUMBER.pt` of a folder in the order of their steps, whatever else lies there."""
    return sorted((path for path in folder.glob("step_*.pt") if _NUMBERED.fullmatch(path.name)), key=number)


def number(path: Path) -> int:
    """The step in the name of one of these."""
    return int(_NUMBERED.fullmatch(path.name)[1])


def make_last(path: Path, step: int, damaged: Iterable[Path] = ()) -> None:
    """Let a run go on from its checkpoint `path` of `step`: it becomes `last.pt`, and later ones make way.

    damaged: these are set aside under other names.
    """
    folder = path.parent
    for name in damaged:
        _set_aside(name)
    if path.name != "last.pt":
        link(path, folder / "last.pt")
    for later in numbered(folder):
        if number(later) > step:
            later.unlink()


def _set_aside(damaged: Path) -> None:
    """Rename a file, and what else is that file, to names that nobody takes for a checkpoint's."""
    others = {damaged, damaged.with_name("last.pt"), *numbered(damaged.parent)}
    for name in [path for path in others if path.exists() and path.samefile(damaged)]:
        free = (name.with_name(f"{name.name}.damaged{again or ''}") for again in count())
        name.rename(next(path for path in free if not path.exists()))


def link(source: Path, target: Path) -> None:
    """Give a checkpoint a second name, at no cost where the file system has hard links."""
    if target.exists() and target.samefile(source):
        return
    temporary = target.with_name(f".{target.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except FileExistsError:
        raise
    except OSError:
        with replacing(target) as file, source.open("rb") as original:
            shutil.copyfileobj(original, file)
    else:
        os.replace(temporary, target)
