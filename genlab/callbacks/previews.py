"""Picture grids every so many steps: the model draws them, this writes them as PNG and tells all callbacks."""

from pathlib import Path

from torch import Tensor

from genlab.callbacks.base import Measurement
from genlab.sampling.grids import save_png
from genlab.sampling.origin import Origin
from genlab.training.trainer import Trainer


class Previews(Measurement):
    def __init__(self, folder: Path, every: int | None, origin: Origin | None = None):
        self.folder, self.every, self.origin = folder, every, origin

    def start(self, trainer: Trainer) -> None:
        """Pictures of steps that are still to come were painted by a process that was killed."""
        for path in self.folder.glob("step_*.png"):
            if int(path.name.removeprefix("step_").split("-")[0]) > trainer.step:
                path.unlink()

    def measure(self, trainer: Trainer) -> None:
        with trainer.breakable():
            grids = trainer.preview()
        trainer.emit("previewed", grids)

    def previewed(self, trainer: Trainer, grids: dict[str, Tensor]) -> None:
        self.folder.mkdir(exist_ok=True)
        origin = self.origin and self.origin.at(trainer.step)
        for name, grid in grids.items():
            save_png(grid, self.folder / f"step_{trainer.step:07d}-{name}.png", origin)
