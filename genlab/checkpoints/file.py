"""Checkpoints: plain dicts of tensors and builtins, written atomically, verified, and loaded without running code.

A file is the zip archive that `torch.save` writes, with the SHA-256 of all bytes before it as the archive's comment.
Other programs can still read it, and corruption or truncation is detected before anything is loaded.
"""

import hashlib
import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch

from genlab.checkpoints import reader
from genlab.checkpoints.folder import RunFolder
from genlab.system.files import replacing

log = logging.getLogger("genlab")

FORMAT = 3

_LABEL = b"genlab-sha256:"
_COMMENT_BYTES = len(_LABEL) + 64


class OtherFormat(ValueError):
    """An intact checkpoint of another GenLab version. Loading does not fall back to an older checkpoint."""


@dataclass(frozen=True)
class Start:
    """Where a run resumes.

    path: a checkpoint in its folder; None if there is none and the run starts over.
    damaged: newer checkpoints that cannot be read.
    """

    path: Path | None = None
    damaged: tuple[Path, ...] = ()


class Unwritable(RuntimeError):
    """A checkpoint could not be written; earlier ones are intact."""


def save(state: dict, path: Path) -> None:
    """Write `state` to `path`, atomically and durably. `Unwritable` if that fails."""
    try:
        with replacing(path) as file:
            torch.save({"format": FORMAT, **state}, file)
            _seal(file)
    except (OSError, RuntimeError) as error:  # torch raises RuntimeError if writing fails
        free = shutil.disk_usage(path.parent).free / 2**20
        reason = (
            os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error).partition("\n")[0]
        )
        raise Unwritable(
            f"{path}: cannot be written ({reason}; {free:.1f} MiB are free); earlier checkpoints are untouched"
        ) from error


def _seal(file: BinaryIO) -> None:
    """Append the digest of a zip archive as its comment."""
    file.seek(-2, os.SEEK_END)  # an archive without a comment ends with the 2-byte comment length
    file.write(_COMMENT_BYTES.to_bytes(2, "little"))
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # typeshed wants `readinto`
    file.seek(0, os.SEEK_END)
    file.write(_LABEL + digest.encode())


def _check_seal(path: Path) -> None:
    """`ValueError` if the file does not match its digest."""
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
    """Read a checkpoint. `ValueError` if it is missing, damaged, of another format, or holds more than plain data."""
    if not path.is_file():
        raise ValueError(f"{path}: no such checkpoint")
    try:
        _check_seal(path)
        state = reader.read(path, device)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: not a readable checkpoint ({error}); it may be damaged") from error
    found = state.get("format") if isinstance(state, dict) else None
    if found != FORMAT and isinstance(found, int):
        version, way_out = ("a newer", "upgrade") if found > FORMAT else ("an earlier", "use that one, or train again")
        raise OtherFormat(
            f"{path}: was written by {version} version of GenLab (format {found}, this one reads {FORMAT}); {way_out}"
        )
    if found != FORMAT:
        raise ValueError(f"{path}: not a readable checkpoint (it has no format); it may be damaged")
    return state


def newest(folder: RunFolder) -> tuple[Path, dict, dict[Path, str]]:
    """The newest intact checkpoint of a run folder: its path, its state, and why each newer one cannot be read.

    `ValueError` if there is none.
    """
    damaged: dict[Path, str] = {}
    for path in _candidates(folder):
        try:
            return path, load(path), damaged
        except OtherFormat:
            raise
        except ValueError as error:
            damaged[path] = str(error)
    if damaged:
        problem = f"{folder}: none of its checkpoints can be read; put a copy back, or begin anew"
        raise ValueError("\n".join([problem, *damaged.values()]))
    raise ValueError(f"{folder}: holds no checkpoints/last.pt; give a run folder or a checkpoint file")


def _candidates(folder: RunFolder) -> list[Path]:
    """All checkpoints of a run, newest first. A file with several names (hard links) is listed once."""
    found: dict[tuple[int, int], Path] = {}
    for path in (folder.last, *reversed(folder.all_numbered()), folder.best):
        if path.exists():
            status = path.stat()
            found.setdefault((status.st_dev, status.st_ino), path)
    return list(found.values())


def find(run: str | Path) -> tuple[Path, dict]:
    """Path and state of a checkpoint: `run` is the file, or a run folder, whose newest intact checkpoint is used."""
    path = Path(run)
    if path.is_file():
        return path, load(path)
    if not path.is_dir():
        raise ValueError(f"{run}: no such run folder or checkpoint")
    path, state, damaged = newest(RunFolder(path))
    for line in damaged.values():
        log.warning("%s; %s of step %d is used instead", line, path.name, state["step"])
    return path, state
