"""Checkpoints: plain dicts of tensors and builtins, written whole or not at all, read without unpickling code."""

import os
from pathlib import Path

import torch

FORMAT = 1


def save(state: dict, path: Path) -> None:
    """Write `state` to `path` atomically: to a temporary name in the same folder, flushed to disk, then renamed."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            torch.save({"format": FORMAT, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load(path: Path, device: str | torch.device = "cpu") -> dict:
    """Read a checkpoint. `ValueError` where it is missing, damaged, of another format, or more than plain data."""
    if not path.is_file():
        raise ValueError(f"{path}: no such checkpoint")
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        raise ValueError(f"{path}: not a readable checkpoint ({type(error).__name__}); it may be damaged") from error
    found = state.get("format") if isinstance(state, dict) else None
    if isinstance(found, int) and found > FORMAT:
        raise ValueError(
            f"{path}: written by a newer version of GenLab (format {found}, this one reads {FORMAT}); upgrade"
        )
    if found != FORMAT:
        raise ValueError(f"{path}: checkpoint format {found!r}, but this version of GenLab reads format {FORMAT}")
    return state


def find(run: str | Path) -> Path:
    """The checkpoint that `run` means: a checkpoint file, or a run folder's `last.pt`."""
    path = Path(run)
    if path.is_file():
        return path
    if not path.is_dir():
        raise ValueError(f"{run}: no such run folder or checkpoint")
    checkpoint = path / "checkpoints" / "last.pt"
    if not checkpoint.is_file():
        raise ValueError(f"{run}: this folder holds no checkpoints/last.pt; give a run folder or a checkpoint file")
    return checkpoint
