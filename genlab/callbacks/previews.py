"""Periodic previews: the model generates them, this callback writes PNG files and notifies all callbacks."""

import re
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from genlab.media.images import Png
from genlab.media.kind import Scene
from genlab.media.kinds import captions_of, shown_kind
from genlab.media.metadata import Origin
from genlab.training.callback import Measurement, is_due
from genlab.training.inference import preview, preview_labels, scene
from genlab.training.trainer import Trainer


class Previews(Measurement):
    """Writes PNG files into `folder`, with metadata on their origin unless `origin` is None.

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
        self.captions: dict[str, list[str]] | None = None

    def on_start(self, trainer: Trainer) -> None:
        """Delete images newer than the checkpoint being resumed, and those of the end of the run alone."""
        for path in self.folder.glob("step_*.png"):
            if found := re.match(r"step_(\d+)-", path.name):
                step = int(found[1])
                if step > trainer.step or (step == trainer.step and not is_due(trainer, self.every)):
                    path.unlink()

    def measure(self, trainer: Trainer) -> None:
        origin, kind = self.origin and self.origin.at(trainer.step), shown_kind(trainer.model.data)
        if kind.has_scene and self.scene is None:
            self.scene = scene(trainer, self.log_density)
        rows, data = preview(trainer), trainer.model.data
        if self.captions is None:  # they are those of the first validation examples, at every step
            labels = preview_labels(trainer) if "label" in trainer.model.conditions else {}
            self.captions = {name: captions_of(data, {"label": label}) for name, label in labels.items()}
        # What is no set of samples goes from input to output, or from one latent to another: rows are paths.
        pictures = {
            name: kind.picture(grid, origin, self.scene, name != "samples", self.captions.get(name, ()))
            for name, grid in rows.items()
        }
        trainer.emit("on_preview", pictures)

    def on_preview(self, trainer: Trainer, images: dict[str, Png]) -> None:
        self.folder.mkdir(exist_ok=True)
        for name, image in images.items():
            (self.folder / f"step_{trainer.step:07d}-{name}.png").write_bytes(image.content)
