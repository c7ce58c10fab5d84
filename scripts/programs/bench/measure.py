"""One workload measured: who trains how fast, from when on, in how much memory, and how near the machine's ceiling."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from bench.ceiling import flop_per_step, peak_rate
from bench.plain import Settings
from bench.turns import Contestant, Score, race, race_beside
from bench.workloads import Workload

from genlab.config.build import build_source
from genlab.config.compose import compose_job, register
from genlab.contract.settings import RunConfig
from genlab.data.published import PublishedSet
from genlab.system import cores

ENDLESS = 10**9
"""Steps that no run here reaches."""


SILENT = (
    *("logger.console=false", "logger.tensorboard=false", f"trainer.log_every={ENDLESS}"),
    *("trainer.preview_every=null", "trainer.checkpoint_every=null"),
)
"""Overrides of a run that tells and keeps nothing."""


@dataclass(frozen=True)
class Plan:
    """How thoroughly to measure.

    rounds: turns of every contestant, of at least `seconds` each. launches: starts of each, for its start-up time.
    workers: of the usual script's loader; None leaves that script out.
    """

    rounds: int
    seconds: float
    launches: int
    workers: int | None


@dataclass(frozen=True)
class Row:
    """A workload in one precision. `usual` is the usual script, in fp32 always, None where it was left out.

    flop: of a step; ceiling: FLOP/s of a large matrix product in this precision.
    """

    workload: Workload
    settings: Settings
    genlab: Score
    plain: Score
    usual: Score | None
    flop: int
    ceiling: float


class Course:
    """What a workload's contestants are told: everything about the device comes from GenLab's own config."""

    def __init__(self, workload: Workload):
        self.workload = workload

    def overrides(self, settings: Settings | None = None) -> list[str]:
        """What `genlab train` is asked for; without `settings` in those of the experiment."""
        chosen = [f"device.precision={settings.precision}"] if settings else []
        endless = f"trainer.max_steps={ENDLESS}"
        return [f"experiment={self.workload.experiment}", "device.name=cpu", endless, *chosen]

    @cached_property
    def config(self) -> RunConfig:
        register()
        return compose_job(self.overrides()).config

    @property
    def settings(self) -> list[Settings]:
        """fp32, and what the experiment asks for where that is something else."""
        device = self.config.device
        own = Settings(device.precision, device.memory_format, device.keep_memory)
        return list(dict.fromkeys([Settings("fp32", own.memory_format, own.keep_memory), own]))

    @cached_property
    def root(self) -> Path:
        """The folder that holds MNIST, unpacked. `ValueError` where there is none, with the way out."""
        source = build_source(self.config.dataset)
        return source.root() if isinstance(source, PublishedSet) else Path()

    def genlab(self, settings: Settings, output_dir: Path) -> list[str]:
        return ["bench.contestant", "genlab", *self.overrides(settings), f"output_dir={output_dir}"]

    def plain(self, settings: Settings) -> list[str]:
        machine = [json.dumps(asdict(settings)), str(self.config.device.threads or cores.available())]
        return ["bench.contestant", "plain", self.workload.name, str(self.root), *machine]

    def usual(self, workers: int) -> list[str]:
        return ["bench.contestant", "usual", self.workload.name, str(self.root), str(workers)]


def measure(workload: Workload, plan: Plan) -> list[Row]:
    """A row for each precision; all contestants of all precisions race together."""
    course = Course(workload)
    with tempfile.TemporaryDirectory(prefix="genlab-bench-") as folder:
        commands = {}
        for settings in course.settings:
            commands[f"genlab {settings.precision}"] = course.genlab(settings, Path(folder, settings.precision))
            commands[f"plain {settings.precision}"] = course.plain(settings)
        if plan.workers is not None:
            commands["usual"] = course.usual(plan.workers)
        scores = race(commands, Path(folder), plan.rounds, plan.seconds, plan.launches)
    flop = flop_per_step(workload.plain_step(course.root / "MNIST/raw", Settings()))
    return [
        Row(
            workload,
            settings,
            scores[f"genlab {settings.precision}"],
            scores[f"plain {settings.precision}"],
            scores.get("usual"),
            flop,
            peak_rate(settings.precision),
        )
        for settings in course.settings
    ]


def breakdowns(workload: Workload, seconds: float) -> Iterator[tuple[str, dict[str, float]]]:
    """Each precision and what a step of GenLab's spends its milliseconds on, see `bench.breakdown`."""
    course = Course(workload)
    for settings in course.settings:
        with tempfile.TemporaryDirectory(prefix="genlab-bench-") as folder:
            command = ["bench.breakdown", str(seconds), *course.overrides(settings), f"output_dir={folder}"]
            process = Contestant(f"{workload.name} in {settings.precision}", command, Path(folder, "log"))
            try:
                yield settings.precision, process.reply()
            finally:
                process.end()


def logging_costs(workload: Workload, plan: Plan) -> Iterator[tuple[str, Score, Score]]:
    """Each precision, and GenLab's scores in it as users start it and without logging, previews and checkpoints."""
    course = Course(workload)
    for settings in course.settings:
        with tempfile.TemporaryDirectory(prefix="genlab-bench-") as folder:
            usual = course.genlab(settings, Path(folder, "telling"))
            commands = {"telling": usual, "silent": [*course.genlab(settings, Path(folder, "silent")), *SILENT]}
            scores = race(commands, Path(folder), plan.rounds, plan.seconds, launches=1)
        yield settings.precision, scores["telling"], scores["silent"]


def neighbour_costs(workload: Workload, plan: Plan) -> Iterator[tuple[str, str, Score, Score]]:
    """Each precision and setting of `device.spin`, and GenLab's scores with it alone and beside one busy process."""
    course = Course(workload)
    for settings in course.settings:
        with tempfile.TemporaryDirectory(prefix="genlab-bench-") as folder:
            commands = {
                spin: [*course.genlab(settings, Path(folder, spin)), f"device.spin={spin}"] for spin in ("on", "off")
            }
            scores = race_beside(commands, Path(folder), plan.rounds, plan.seconds)
        for spin, (alone, beside) in scores.items():
            yield settings.precision, spin, alone, beside
