"""Checkpoints: nested dicts of tensors and JSON values, written atomically, verified, and loaded without running code.

A checkpoint is one safetensors file. Its tensors are named by their path in the state ("model/encoder.0.weight",
"optimizer/generator/state/0/exp_avg"); all other values stand in its metadata, an entry of JSON for each key of the
state. A checksum over the whole file detects corruption and truncation before anything is loaded.
"""

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genlab.checkpoints.folder import RunFolder
from genlab.system import tensor_file

log = logging.getLogger("genlab")

FORMAT = 7

_MOST_TEXT = 2**22
"""Maximum number of characters of all JSON: values take 50 times their text in memory."""

_MOST_LEVELS = 8


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


def save(state: Mapping[str, Any], path: Path) -> None:
    """Write `state` to `path`, atomically and durably. `Unwritable` if that fails.

    Values are tensors, dicts with text keys and whatever JSON can say; tensors stand in dicts only.
    """
    tensors: dict[str, Tensor] = {}
    values = _without_tensors({"format": FORMAT, **state}, (), tensors)
    try:
        tensor_file.write(path, tensors, {key: json.dumps(value) for key, value in values.items()})
    except OSError as error:
        free = shutil.disk_usage(path.parent).free / 2**20
        raise Unwritable(
            f"{path}: cannot be written ({error.strerror or error}; {free:.1f} MiB are free); "
            "earlier checkpoints are untouched"
        ) from error


def _without_tensors(node: Mapping, place: tuple[str, ...], tensors: dict[str, Tensor]) -> dict[str, Any]:
    """The part of `node` that is not tensors; these go to `tensors` by their paths."""
    rest: dict[str, Any] = {}
    for key, value in node.items():
        inner = (*place, str(key))
        if isinstance(value, Mapping):
            rest[str(key)] = _without_tensors(value, inner, tensors)
        elif isinstance(value, Tensor):
            if any("/" in part for part in inner):
                raise ValueError(f"{'.'.join(inner)}: a name of weights may hold no '/', which separates groups")
            tensors["/".join(inner)] = value
        else:
            rest[str(key)] = value
    return rest


def _with_tensors(values: dict[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The inverse of `_without_tensors`."""
    for path, tensor in tensors.items():
        *groups, name = path.split("/", _MOST_LEVELS)
        node = values
        for group in groups:
            node = node.setdefault(group, {})
        node[name] = tensor
    return values


def load(path: Path, device: str | torch.device = "cpu") -> dict[str, Any]:
    """Read a checkpoint. `ValueError` if it is missing, damaged or of another format."""
    if not path.is_file():
        raise ValueError(f"{path}: no such checkpoint")
    try:
        if _is_archive(path):
            raise _other_format(path, "an earlier")
        tensors, texts = tensor_file.read(path, device)
        if sum(map(len, texts.values())) > _MOST_TEXT:
            raise ValueError("it holds too much text")
        if (found := int(texts.get("format", FORMAT))) != FORMAT:
            raise _other_format(path, "a newer" if found > FORMAT else "an earlier")
        return _with_tensors({key: json.loads(text) for key, text in texts.items()}, tensors)
    except OtherFormat:
        raise
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path}: not a readable checkpoint ({reason}); it may be damaged") from error


def _is_archive(path: Path) -> bool:
    """Whether it is a zip archive, as torch and earlier versions of GenLab write it."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\3\4"


def _other_format(path: Path, version: str) -> OtherFormat:
    way_out = "upgrade" if version == "a newer" else "use that one, or train again"
    return OtherFormat(f"{path}: was written by {version} version of GenLab; {way_out}")


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
    if not damaged and (earlier := next(folder.checkpoints.glob("*.pt"), None)):
        raise _other_format(earlier, "an earlier")
    if damaged:
        problem = f"{folder}: none of its checkpoints can be read; put a copy back, or begin anew"
        raise ValueError("\n".join([problem, *damaged.values()]))
    raise ValueError(f"{folder}: holds no checkpoints/{folder.last.name}; give a run folder or a checkpoint file")


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
