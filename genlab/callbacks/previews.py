"""Picture grids every so many steps: the model draws them, this writes them as PNG and tells all callbacks."""

import re
from pathlib import Path

from genlab.callbacks.base import Measurement, due
from genlab.sampling.grids import to_png
from genlab.sampling.origin import Origin
from genlab.sampling.write import Png
from genlab.training.trainer import Trainer


class Previews(Measurement):
    def __init__(self, folder: Path, every: int | None, origin: Origin | None = None):
        super().__init__(every)
        self.folder, self.origin = folder, origin

    def start(self, trainer: Trainer) -> None:
        """What a process painted behind its last checkpoint, or because it was at the end, makes way."""
        for path in self.folder.glob("step_*.png"):
            if found := re.match(r"step_(\d+)-", path.name):
                step = int(found[1])
                if step > trainer.step or (step == trainer.step and not due(trainer, self.every)):
                    path.unlink()

    def measure(self, trainer: Trainer) -> None:
        origin = self.origin and self.origin.at(trainer.step)
        trainer.emit("previewed", {name: to_png(grid, origin) for name, grid in trainer.preview().items()})

    def previewed(self, trainer: Trainer, pictures: dict[str, Png]) -> None:
        self.folder.mkdir(exist_ok=True)
        for name, picture in pictures.items():
            (self.folder / f"step_{trainer.step:07d}-{name}.png").write_bytes(picture.content)
