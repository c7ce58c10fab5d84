"""`metrics.jsonl`: a line per logged step, per validation and per evaluation. No times: a repeated run repeats it."""

import json
from pathlib import Path

from genlab.callbacks.base import Callback
from genlab.training.trainer import Trainer


class MetricsFile(Callback):
    def __init__(self, path: Path):
        self.path = path

    def logged(self, trainer: Trainer, row: dict[str, float]) -> None:
        self._write(row)

    def validated(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        self._write({"step": trainer.step} | {f"validation/{name}": value for name, value in metrics.items()})

    def evaluated(self, trainer: Trainer, entries: dict[str, dict]) -> None:
        self._write({"step": trainer.step} | {f"evaluation/{name}": entry["value"] for name, entry in entries.items()})

    def _write(self, row: dict[str, float]) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
