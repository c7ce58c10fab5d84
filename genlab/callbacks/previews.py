"""Periodic image grids: the model generates them, this callback writes PNG files and notifies all callbacks."""

import re
from pathlib import Path

from genlab.media.grids import to_png
from genlab.media.images import Png
from genlab.media.metadata import Origin
from genlab.training.callback import Measurement, is_due
from genlab.training.inference import preview
from genlab.training.trainer import Trainer


class Previews(Measurement):
    """Writes PNG files into `folder`, with metadata on their origin unless `origin` is None."""

    key = "previews"

    def __init__(self, folder: Path, every: int | None, origin: Origin | None = None):
        super().__init__(every)
        self.folder, self.origin = folder, origin

    def on_start(self, trainer: Trainer) -> None:
        """Delete images newer than the checkpoint being resumed, and those made only for the end of the run."""
        for path in self.folder.glob("step_*.png"):
            if found := re.match(r"step_(\d+)-", path.name):
                step = int(found[1])
                if step > trainer.step or (step == trainer.step and not is_due(trainer, self.every)):
                    path.unlink()

    def measure(self, trainer: Trainer) -> None:
        origin = self.origin and self.origin.at(trainer.step)
        trainer.emit("on_preview", {name: to_png(grid, origin) for name, grid in preview(trainer).items()})

    def on_preview(self, trainer: Trainer, images: dict[str, Png]) -> None:
        self.folder.mkdir(exist_ok=True)
        for name, image in images.items():
            (self.folder / f"step_{trainer.step:07d}-{name}.png").write_bytes(image.content)
