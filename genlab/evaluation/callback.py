"""The metrics of `genlab evaluate`, measured during training."""

import logging
from dataclasses import replace

from genlab.evaluation.choosing import choose
from genlab.evaluation.context import EvaluationContext
from genlab.evaluation.evaluate import evaluate
from genlab.inference.run import Run
from genlab.metrics.catalogue import METRICS
from genlab.system.distributed import first_process_first, rank
from genlab.training.callback import Measurement
from genlab.training.inference import inference
from genlab.training.trainer import Trainer

log = logging.getLogger("genlab")


class Evaluation(Measurement):
    """Measures the averaged weights every `every` steps and notifies all callbacks. run: of the model in training."""

    key = "evaluation"

    def __init__(self, every: int, context: EvaluationContext, run: Run):
        super().__init__(every)
        self.context, self.run = context, run
        self.names: list[str] = []

    def on_start(self, trainer: Trainer) -> None:
        """Before the first step, refuse what cannot be measured, train the extractor and read the real images."""
        with first_process_first():  # the others find its results in the cache
            self.names = choose(self.run, self.context, self.context.settings.metrics)
            if any(METRICS[name].extractor and METRICS[name].group == "samples" for name in self.names):
                _ = self.context.real

    def measure(self, trainer: Trainer) -> None:
        with inference(trainer, interruptible=True):
            entries = evaluate(replace(self.run, step=trainer.step), self.context, self.names, trainer.seed)
        if rank() == 0:
            for note, names in _missing(entries).items():
                log.warning("step %d: %s not measured: %s", trainer.step, ", ".join(names), note)
        trainer.emit("on_evaluate", {name: entry for name, entry in entries.items() if entry["value"] is not None})


def _missing(entries: dict[str, dict]) -> dict[str, list[str]]:
    """The names of what has no value, by the reason."""
    notes: dict[str, list[str]] = {}
    for name, entry in entries.items():
        if entry["value"] is None:
            notes.setdefault(entry["note"], []).append(name)
    return notes
