"""Loggers: where the scalars, images and texts of a run go, besides its own files.

A new logger is a subclass of `Logger`, or of `RemoteLogger` if it sends the run to a service, and says only how it
writes. docs/extending.md shows one in a package of its own. TensorBoard shows more than this, and is a callback.
"""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genlab.callbacks.watch import Alarm
from genlab.checkpoints.folder import RunFolder, SweepFolder
from genlab.checkpoints.status import RunStatus
from genlab.contract.settings import flattened
from genlab.media.images import Png
from genlab.media.metadata import run_id
from genlab.system.files import replace_text
from genlab.system.small_files import json_text, read_json
from genlab.training.callback import Callback
from genlab.training.trainer import Trainer

log = logging.getLogger("genlab")


@dataclass(frozen=True)
class RunRecord:
    """What is known of a run when it begins or resumes.

    config: all its settings, as `config.yaml` has them. hparams: the settings that vary in a sweep, or commonly do.
    status: its state, final metrics and alarms, kept up to date.
    """

    folder: RunFolder
    config: dict[str, Any]
    hparams: dict[str, int | float | str | bool]
    status: RunStatus

    @property
    def name(self) -> str:
        """As in vae-mnist/20261120-153012-5306."""
        return run_id(self.folder.path)

    @property
    def sweep(self) -> str | None:
        """The name of its sweep, if it is a job of one."""
        above = self.folder.path.resolve().parent
        return run_id(above) if SweepFolder(above).holds_sweep else None

    @property
    def settings(self) -> dict[str, Any]:
        """All its settings by dotted key."""
        return dict(flattened(self.config))


class Logger(Callback):
    """Base of loggers: names what happens in a run, and has it written. Process 0 alone has loggers.

    A constructor with a parameter `run` is given a `RunRecord`. Names have slashes, as in `train/loss`,
    `validation/elbo`, `evaluation/frechet`, `alarm/gradient` and `previews/samples`. An error ends the run.
    """

    def begin(self, step: int) -> None:
        """The run begins, or resumes after `step` steps. What was written of later steps will be written again."""

    def scalars(self, values: dict[str, float], step: int) -> None:
        """Write scalars of one step; a value may be NaN or infinite."""
        raise NotImplementedError

    def image(self, name: str, image: Png, step: int) -> None:
        """Write an image grid."""

    def text(self, name: str, text: str, step: int) -> None:
        """Write a text, such as an alarm."""

    def end(self) -> None:
        """The run is over: `status.state` of its record is finished, failed or interrupted."""

    def send(self, kind: str, step: int, write: Callable[..., None], *arguments: Any) -> None:
        """Have something written that happens at most once in a step, as `kind` says."""
        write(*arguments, step)

    def on_start(self, trainer: Trainer) -> None:
        self.begin(trainer.step)

    def on_log(self, trainer: Trainer, row: dict[str, float]) -> None:
        values = {name: value for name, value in row.items() if name != "step"}
        self.send("row", trainer.step, self.scalars, values)

    def on_validate(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        values = {f"validation/{name}": value for name, value in metrics.items()}
        self.send("validation", trainer.step, self.scalars, values)

    def on_evaluate(self, trainer: Trainer, entries: dict[str, dict[str, Any]]) -> None:
        values = {f"evaluation/{name}": entry["value"] for name, entry in entries.items()}
        self.send("evaluation", trainer.step, self.scalars, values)

    def on_alarm(self, trainer: Trainer, alarm: Alarm) -> None:
        name = f"alarm/{alarm.kind}"
        self.send(name, trainer.step, self.scalars, {name: alarm.value})
        self.send(f"{name}/text", trainer.step, self.text, name, str(alarm))

    def on_preview(self, trainer: Trainer, images: dict[str, Png]) -> None:
        for name, image in images.items():
            self.send(f"previews/{name}", trainer.step, self.image, f"previews/{name}", image)

    def on_close(self, trainer: Trainer) -> None:
        self.end()


class RemoteLogger(Logger):
    """A logger that sends a run to a service. No error of the service ends the run: the first one is a warning, and
    nothing more is sent.

    A resumed run goes on as the same run there, and sends no step twice: a small file in the run folder holds its `id`
    and the last step that was sent, by kind. What a service has it keeps: a run that is made longer still shows there
    what was measured at its first end, and a rollback shows the steps that it left.
    """

    def __init__(self, run: RunRecord):
        self.run = run
        self.id: str | None = None  # while the run is open there
        self.sent: dict[str, int] = {}

    def open(self, known: str | None) -> str:
        """Begin the run there, or continue the `known` one; returns its id, of letters, digits, `-` and `_`."""
        raise NotImplementedError

    def close(self) -> None:
        """End the run there."""

    def begin(self, step: int) -> None:
        with self._harmless():
            known, self.sent = self._recorded()
            opened = self.open(known)
            if opened != known:
                self.sent = {}
            self.id = opened
            self._record()

    def end(self) -> None:
        if self.id is not None:
            with self._harmless():
                self.close()
        self.id = None

    def send(self, kind: str, step: int, write: Callable[..., None], *arguments: Any) -> None:
        if self.id is None or step <= self.sent.get(kind, -1):
            return
        with self._harmless():
            write(*arguments, step)
            self.sent[kind] = step
            self._record()

    def on_log(self, trainer: Trainer, row: dict[str, float]) -> None:
        if "rollback" in row:  # its steps are made again, with other noise
            self.sent = {kind: min(last, trainer.step - 1) for kind, last in self.sent.items()}
        super().on_log(trainer, row)

    @contextmanager
    def _harmless(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.id = None
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            log.warning("logger %s: %s; nothing more is sent to it, and training goes on", self.key, reason)
            log.debug("logger %s failed", self.key, exc_info=True)

    @property
    def _file(self) -> Path:
        return self.run.folder.logger(self.key)

    def _record(self) -> None:
        replace_text(self._file, json_text({"id": self.id, "sent": self.sent}), durable=False)

    def _recorded(self) -> tuple[str | None, dict[str, int]]:
        """Id and steps of the record, which may be a stranger's."""
        with suppress(ValueError, TypeError, AttributeError, KeyError):
            found = read_json(self._file)
            sent = {str(kind): int(step) for kind, step in found["sent"].items()}
            if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", found["id"]):
                return found["id"], sent
        return None, {}
