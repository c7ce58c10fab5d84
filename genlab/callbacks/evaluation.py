"""Sample quality and whatever else `genlab evaluate` measures, during training."""

from collections.abc import Callable

from genlab.callbacks.base import Measurement
from genlab.evaluation.bench import Bench
from genlab.evaluation.evaluate import choose, evaluate
from genlab.evaluation.sample_metrics import SAMPLE_METRICS
from genlab.sampling.load import Run
from genlab.training.distributed import first_process_first
from genlab.training.trainer import Trainer


class Evaluation(Measurement):
    """Measures the averaged weights on `bench` every so many steps and tells all callbacks.

    as_run: the model in training as a `Run`, which is what measurements take.
    """

    def __init__(self, every: int, bench: Bench, as_run: Callable[[Trainer], Run]):
        super().__init__(every)
        self.bench, self.as_run = bench, as_run
        self.names: list[str] = []

    def start(self, trainer: Trainer) -> None:
        """Refuse what cannot be measured, train the extractor and read the real pictures before the first step."""
        with first_process_first():  # the others find in the cache what it trains and reads
            self.names = choose(self.as_run(trainer), self.bench, self.bench.settings.metrics)
            if any(SAMPLE_METRICS[name].reads for name in self.names if name in SAMPLE_METRICS):
                _ = self.bench.real

    def measure(self, trainer: Trainer) -> None:
        with trainer.inference(breakable=True):
            entries = evaluate(self.as_run(trainer), self.bench, self.names, trainer.seed)
        trainer.emit("evaluated", {name: entry for name, entry in entries.items() if entry["value"] is not None})
