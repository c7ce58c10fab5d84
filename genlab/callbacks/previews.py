"""Picture grids every so many steps: the model draws them, this writes them as PNG and tells all callbacks."""

import re
from pathlib import Path

from torch import Tensor

from genlab.callbacks.base import Measurement, due
from genlab.sampling.grids import save_png
from genlab.sampling.origin import Origin
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
        trainer.emit("previewed", trainer.preview())

    def previewed(self, trainer: Trainer, grids: dict[str, Tensor]) -> None:
        self.folder.mkdir(exist_ok=True)
        origin = self.origin and self.origin.at(trainer.step)
        for name, grid in grids.items():
            save_png(grid, self.folder / f"step_{trainer.step:07d}-{name}.png", origin)
