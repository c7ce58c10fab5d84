"""TensorBoard: scalars, previews, latent histograms, config, hparams, and at the end an embedding projector.

TensorBoard sorts by name, and shows what stands before a "/" as a group: losses come first.
"""

import os
import resource
import sys
import time
import wave
from collections.abc import Iterator
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genlab.callbacks.watch import Alarm
from genlab.checkpoints.status import RunStatus
from genlab.contract.data import Batch
from genlab.contract.settings import LoggerConfig
from genlab.media.images import Png
from genlab.media.kinds import class_name, shown_kind
from genlab.system.files import utf8_name
from genlab.training.callback import Callback
from genlab.training.inference import inference
from genlab.training.trainer import Trainer

_END = ".end"
"""Suffix of the event file for what is measured at the end of a run alone."""

_GROUPS = {
    "epoch": "system",
    "train": "loss",
    "validation": "loss",
    "evaluation": "metrics",
    "gradient_norm": "optimizer",
    "learning_rate": "optimizer",
    "alarm": "watch",
}
"""Group of the metrics whose names begin so, as in loss/validation/elbo; others are groups by themselves."""


class TensorBoard(Callback):
    """Writes event files under `folder`.

    config: the run's config as YAML text; hparams: its settings as a flat dict of plain values. logger: its settings of
    `logger`. status: its final metrics are shown in the HParams tab.
    """

    key = "tensorboard"

    def __init__(self, folder: Path, config: str, hparams: dict, logger: LoggerConfig, status: RunStatus):
        self.folder, self.config, self.hparams, self.logger, self.status = folder, config, hparams, logger, status
        self.purge_step = 0
        self.alarm: Alarm | None = None
        self.hidden_alarm: Alarm | None = None  # of the steps that a rollback hid, until the next step repeats it
        self._writer: Any = None
        self._suffix = ""
        self._handle: int | None = None

    @property
    def writer(self) -> Any:
        """Opened on first use: importing TensorBoard must not delay the first step."""
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            # Hides the events of an earlier file for steps that are repeated.
            purge_step = None if self._suffix else self.purge_step
            self._writer = SummaryWriter(self._place(), None, purge_step, flush_secs=10, filename_suffix=self._suffix)
            if not self._suffix:
                self._writer.add_text("config", "```yaml\n" + self.config + "\n```", self.purge_step - 1)
        return self._writer

    def _place(self) -> str:
        """The folder by a name that TensorBoard takes."""
        self.folder.mkdir(exist_ok=True)
        self._handle = os.open(self.folder, os.O_RDONLY)
        return utf8_name(self.folder, self._handle)

    def on_start(self, trainer: Trainer) -> None:
        self.time, self.step = time.perf_counter(), trainer.step
        self.purge_step = self._x(trainer) + 1
        for path in self.folder.glob(f"events*{_END}"):
            path.unlink()

    def on_last_step(self, trainer: Trainer) -> None:
        """From here on write to a separate file, which a longer run deletes."""
        self.on_close(trainer)
        self._writer, self._suffix = None, _END

    def on_log(self, trainer: Trainer, row: dict[str, float]) -> None:
        if trainer.step < self.step:
            self._hide_steps(trainer)
            return
        now = time.perf_counter()
        speed = (trainer.step - self.step) * trainer.settings.batch_size / (now - self.time)
        self.time, self.step = now, trainer.step
        scalars = {name: value for name, value in row.items() if name != "step"}
        scalars |= {"system/images_per_second": speed, "system/memory_gib": _memory(trainer.train_loader.device)}
        self._add_scalars(scalars, trainer)

    def on_validate(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        self._add_scalars({f"validation/{name}": value for name, value in metrics.items()}, trainer)
        if self.logger.histograms and _encodes(trainer):
            latents = torch.cat([z for z, _ in self._encoded(trainer, limit=1000)])
            if not latents.isfinite().all():  # which have no histogram
                return
            self.writer.add_histogram("model/latents", latents, self._x(trainer))
            self.writer.add_histogram("model/std_of_each_latent", latents.std(0, correction=0), self._x(trainer))

    def on_evaluate(self, trainer: Trainer, entries: dict[str, dict]) -> None:
        self._add_scalars({f"evaluation/{name}": entry["value"] for name, entry in entries.items()}, trainer)

    def _add_scalars(self, scalars: dict[str, float], trainer: Trainer) -> None:
        self._add([{"tag": _tag(name), "simple_value": value} for name, value in scalars.items()], trainer)

    def _add(self, values: list[dict[str, Any]], trainer: Trainer) -> None:
        """Write all in one event: `SummaryWriter.add_scalar` would write one each, which is ten times slower, and its
        `add_image` would encode images again."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        self.writer.file_writer.add_summary(Summary(value=values), self._x(trainer))

    def _x(self, trainer: Trainer) -> int:
        """Where this step is on the axis, which takes whole numbers alone: an epoch has a thousand of them."""
        return trainer.step if self.logger.axis == "step" else round(1000 * trainer.step / trainer.steps_per_epoch)

    def on_alarm(self, trainer: Trainer, alarm: Alarm) -> None:
        self.alarm = alarm
        self.writer.add_scalar(_tag(f"alarm/{alarm.kind}"), alarm.value, self._x(trainer))
        self.writer.add_text(_tag(f"alarm/{alarm.kind}"), str(alarm), self._x(trainer))

    def _hide_steps(self, trainer: Trainer) -> None:
        """Continue in a new event file that hides the discarded steps.

        It begins with the next step, which repeats the alarm that caused this: a run that is killed before the rollback
        is saved is resumed from an older checkpoint, and must find its events as they were.
        """
        self.on_close(trainer)
        self._writer = None
        self.on_start(trainer)
        self.hidden_alarm = self.alarm

    def on_step_end(self, trainer: Trainer) -> None:
        if self.hidden_alarm:
            self.on_alarm(trainer, self.hidden_alarm)
            self.hidden_alarm = None

    def state_dict(self) -> dict:
        return {"hidden_alarm": asdict(self.hidden_alarm) if self.hidden_alarm else None}

    def load_state_dict(self, state: dict) -> None:
        self.hidden_alarm = Alarm(**state["hidden_alarm"]) if state["hidden_alarm"] else None

    def on_preview(self, trainer: Trainer, images: dict[str, Png]) -> None:
        for name, shown in images.items():
            image = {"height": shown.height, "width": shown.width, "encoded_image_string": shown.content}
            heard = [{"tag": f"previews/{name}/{number}", "audio": _audio(file)}
                     for number, file in shown.sounds.items()]  # fmt: skip
            self._add([{"tag": f"previews/{name}", "image": image}, *heard], trainer)

    def on_finish(self, trainer: Trainer) -> None:
        if self.logger.projector_size and _encodes(trainer):
            self._write_projector(trainer)
        self._write_hparams()
        self.writer.flush()  # a write error must fail the run, not be lost

    def on_save(self, trainer: Trainer) -> None:
        if self._writer is not None:  # a resumed run will not repeat these events
            self._writer.flush()

    def on_close(self, trainer: Trainer) -> None:
        if self._writer is not None:
            self._writer.close()
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _encoded(self, trainer: Trainer, limit: int) -> Iterator[tuple[Tensor, Batch]]:
        """Latents [n, D] of the first `limit` validation examples, batch by batch, each with its batch."""
        model = trainer.model
        with inference(trainer):
            for batch in trainer.validation_loader.in_order(limit):
                z = model.encode(batch["x"], *model.given(model.condition(batch)))
                yield z.float().cpu().flatten(1), batch

    def _write_projector(self, trainer: Trainer) -> None:
        """Latents of validation examples with thumbnails of these, where the kind has any, and labels if all have."""
        data = trainer.model.data
        kind, latents, sprites, labels = shown_kind(data), [], [], []
        for z, batch in self._encoded(trainer, self.logger.projector_size):
            latents.append(z)
            if (small := kind.thumbnails(batch["x"].float().cpu())) is not None:
                sprites.append(small)
            labels += [class_name(data["label"], int(y)) for y in batch["label"]] if "label" in batch else []
        shown = torch.cat(sprites) if sprites else None
        place = f"projector/{trainer.step:07d}"  # of its files, in the folder of the events
        self.writer.add_embedding(torch.cat(latents), labels or None, shown, global_step=place, tag="latents")

    def _write_hparams(self) -> None:
        # `SummaryWriter.add_hparams` would create a second run; writing the summaries does not.
        from torch.utils.tensorboard.summary import hparams

        for summary in hparams(self.hparams, {_tag(name): value for name, value in self.status.final.items()}):
            self.writer.file_writer.add_summary(summary)


def _audio(content: bytes) -> dict[str, Any]:
    """A WAV file as TensorBoard's audio tab takes it."""
    with wave.open(BytesIO(content)) as file:
        found = {"sample_rate": file.getframerate(), "num_channels": 1, "length_frames": file.getnframes()}
    return {**found, "encoded_audio_string": content, "content_type": "audio/wav"}


def _tag(name: str) -> str:
    """What TensorBoard calls a metric."""
    group = _GROUPS.get(name.partition("/")[0])
    return f"{group}/{name}" if group else name


def _memory(device: torch.device) -> float:
    """Peak memory in GiB: of the GPU on CUDA, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)


def _encodes(trainer: Trainer) -> bool:
    """Whether the model has latents to show, in little time."""
    return hasattr(trainer.model, "encode") and "encode" not in trainer.model.slow
