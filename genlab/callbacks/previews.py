"""Periodic previews: the model generates them, this callback writes PNG files and notifies all callbacks."""

import re
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from genlab.media.images import Png
from genlab.media.kind import Scene
from genlab.media.kinds import shown_kind
from genlab.media.metadata import Origin
from genlab.training.callback import Measurement
from genlab.training.inference import preview, scene
from genlab.training.trainer import Trainer

_EARLY = (1, 100, 500)
"""Steps of previews beside those of `trainer.preview_every`: a mistake in the data shows in the first of them."""


class Previews(Measurement):
    """Writes PNG files into `folder`, with metadata on their origin unless `origin` is None.

    every: None for one at the end alone, else one at each of the steps `_EARLY` as well.
    log_density: the data's, if it is known; kinds that are shown as plots are shown against it.
    """

    key = "previews"

    def __init__(
        self,
        folder: Path,
        every: int | None,
        origin: Origin | None = None,
        log_density: Callable[[Tensor], Tensor] | None = None,
    ):
        super().__init__(every)
        self.folder, self.origin, self.log_density = folder, origin, log_density
        self.scene: Scene | None = None

    def on_start(self, trainer: Trainer) -> None:
        """Delete images newer than the checkpoint being resumed, and those of the end of the run alone."""
        for path in self.folder.glob("step_*.png"):
            if found := re.match(r"step_(\d+)-", path.name):
                step = int(found[1])
                if step > trainer.step or (step == trainer.step and not self.due(trainer)):
                    path.unlink()

    def due(self, trainer: Trainer) -> bool:
        return super().due(trainer) or (self.every is not None and trainer.step in _EARLY)

    def measure(self, trainer: Trainer) -> None:
        origin, kind = self.origin and self.origin.at(trainer.step), shown_kind(trainer.model.data)
        if kind.has_scene and self.scene is None:
            self.scene = scene(trainer, self.log_density)
        # What is no set of samples goes from input to output, or from one latent to another: rows are paths.
        pictures = {
            name: kind.picture(grid, origin, self.scene, connected=name != "samples")._replace(sounds=kind.heard(grid))
            for name, grid in preview(trainer).items()
        }
        trainer.emit("on_preview", pictures)

    def on_preview(self, trainer: Trainer, images: dict[str, Png]) -> None:
        self.folder.mkdir(exist_ok=True)
        for name, image in images.items():
            (self.folder / f"step_{trainer.step:07d}-{name}.png").write_bytes(image.content)
