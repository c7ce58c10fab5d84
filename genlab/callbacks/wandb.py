"""Weights & Biases (https://docs.wandb.ai): `logger=wandb`, with the extra `genlab[wandb]`.

Its environment variables hold: WANDB_MODE=offline, WANDB_ENTITY, WANDB_PROJECT (unless `logger.project` is set).
"""

import os
from io import BytesIO
from typing import Any

from PIL import Image

from genlab.callbacks.logger import RemoteLogger, RunRecord, log
from genlab.media.images import Png

_EXIT_CODES = {"finished": 0, "interrupted": 130}


class WandB(RemoteLogger):
    """A run of the same name, in a group with the other jobs of its sweep; its files are in RUN/wandb.

    project: None for that of the environment, else genlab.
    """

    key = "wandb"

    def __init__(self, run: RunRecord, project: str | None = None):
        super().__init__(run)
        self.project = project or os.environ.get("WANDB_PROJECT") or "genlab"
        self.wandb: Any = None
        self.remote: Any = None

    def open(self, known: str | None) -> str:
        import wandb  # takes a second, and is not needed otherwise

        self.wandb = wandb
        # Without a copy of what is printed.
        settings = wandb.Settings(silent=True, console="off", symlink=False)
        self.remote = wandb.init(
            project=self.project,
            name=self.run.name,
            group=self.run.sweep,
            config=self.run.config,
            dir=str(self.run.folder),
            id=known,
            resume="allow" if known else None,
            reinit="create_new",
            settings=settings,
        )
        self.remote.define_metric("*", step_metric="step")  # W&B's own steps may not go back, as a rollback does
        for path in self.run.folder.path.glob("wandb/**/*"):
            if path.is_symlink():  # to its own log: with a link in its folder no run is resumed
                path.unlink()
        log.info("wandb: %s", self.remote.dir if self.remote.offline else self.remote.url)
        return self.remote.id

    def scalars(self, values: dict[str, float], step: int) -> None:
        self.remote.log({"step": step, **values})

    def image(self, name: str, image: Png, step: int) -> None:
        self.remote.log({"step": step, name: self.wandb.Image(Image.open(BytesIO(image.content)))})

    def text(self, name: str, text: str, step: int) -> None:
        self.remote.alert(title=name, text=text)

    def close(self) -> None:
        status = self.run.status
        self.remote.summary.update({"status": status.state, "reason": status.reason, **status.final})
        self.remote.finish(exit_code=_EXIT_CODES.get(status.state, 1))
