"""Picture grids every so many steps: the model draws them, this writes them as PNG and tells all callbacks."""

from pathlib import Path

from torch import Tensor

from genlab.callbacks.base import Callback, due
from genlab.sampling.grids import save_png
from genlab.training.trainer import Trainer


class Previews(Callback):
    def __init__(self, folder: Path, every: int | None):
        self.folder, self.every = folder, every

    def stepped(self, trainer: Trainer) -> None:
        if due(trainer, self.every):
            trainer.emit("previewed", trainer.preview())

    def previewed(self, trainer: Trainer, grids: dict[str, Tensor]) -> None:
        self.folder.mkdir(exist_ok=True)
        for name, grid in grids.items():
            save_png(grid, self.folder / f"step_{trainer.step:07d}-{name}.png")
