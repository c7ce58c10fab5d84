"""Which checkpoints of a run are kept, and under which names."""

import os
import shutil
from collections.abc import Iterable
from itertools import count
from pathlib import Path

from genlab.checkpoints.folder import RunFolder, step_of
from genlab.system.files import replacing_path, sync


def make_last(checkpoint: Path, step: int, damaged: Iterable[Path] = ()) -> None:
    """Make a run resume from its `checkpoint` of `step`: it becomes `last.safetensors`, and later ones are deleted.

    damaged: checkpoints to rename, so that they are not loaded again.
    """
    folder = RunFolder.of_checkpoint(checkpoint)
    for path in damaged:
        _set_aside(folder, path)
    if checkpoint != folder.last:
        link(checkpoint, folder.last)
    for later in folder.all_numbered():
        if step_of(later) > step:
            later.unlink()


def _set_aside(folder: RunFolder, damaged: Path) -> None:
    """Rename a damaged file and its hard links, so that it is no longer found as a checkpoint."""
    others = {damaged, folder.last, *folder.all_numbered()}
    for name in [path for path in others if path.exists() and path.samefile(damaged)]:
        free = (name.with_name(f"{name.name}.damaged{again or ''}") for again in count())
        name.rename(next(path for path in free if not path.exists()))


def link(source: Path, target: Path) -> None:
    """Give a checkpoint a second name: a hard link, or a copy if the file system has none."""
    if target.exists() and target.samefile(source):
        return
    with replacing_path(target, durable=False) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
            sync(temporary)
