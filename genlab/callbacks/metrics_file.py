"""`metrics.jsonl`: a line per logged step, validation and evaluation. It holds no times, so that it is reproducible.

A value that is not finite is null.
"""

import os
from pathlib import Path

from genlab.system.small_files import json_text
from genlab.training.callback import Callback
from genlab.training.trainer import Trainer


class MetricsFile(Callback):
    """Stores its size in checkpoints: a resumed run truncates the rows that it will write again."""

    key = "metrics_file"

    def __init__(self, path: Path):
        self.path = path
        self.kept = 0  # size in bytes when the resumed checkpoint was saved

    def on_start(self, trainer: Trainer) -> None:
        if self._size() > self.kept:
            os.truncate(self.path, self.kept)

    def on_save(self, trainer: Trainer) -> None:
        if self._size():
            with self.path.open("rb") as file:
                os.fsync(file.fileno())

    def on_log(self, trainer: Trainer, row: dict[str, float]) -> None:
        self._write(row)

    def on_validate(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        self._write({"step": trainer.step} | {f"validation/{name}": value for name, value in metrics.items()})

    def on_evaluate(self, trainer: Trainer, entries: dict[str, dict]) -> None:
        self._write({"step": trainer.step} | {f"evaluation/{name}": entry["value"] for name, entry in entries.items()})

    def state_dict(self) -> dict:
        return {"bytes": self._size()}

    def load_state_dict(self, state: dict) -> None:
        self.kept = state["bytes"]

    def _size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def _write(self, row: dict[str, float]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json_text(row) + "\n")
