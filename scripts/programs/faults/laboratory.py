"""Recipes of tiny runs that use every feature of training, the runs themselves, and what two of them have in common."""

import json
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import lab
import numpy
from faults.launch import Child
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from genlab.checkpoints import file as checkpoint
from genlab.checkpoints.folder import RunFolder
from genlab.config.check import locate

MODELS = lab.MODELS

logging.getLogger("tensorboard").setLevel(logging.ERROR)  # it tells of every purge

INTERVALS = {
    "trainer.checkpoint_every": 3,
    "trainer.log_every": 2,
    "trainer.validate_every": 5,
    "trainer.preview_every": 8,
    "watch.every": 4,
}
"""Steps between events: several kinds often fall on one step, and a window of metrics often spans a checkpoint."""


@dataclass(frozen=True)
class Recipe:
    """A run to be made: `genlab train` with `settings`."""

    model: str
    variety: str
    settings: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.model}, {self.variety}"


@dataclass(frozen=True)
class Reference:
    """The run that nobody disturbed, and how long it took from start to end."""

    recipe: Recipe
    folder: Path
    seconds: float


class Laboratory:
    """Makes recipes and their runs below `work`."""

    def __init__(self, work: Path):
        self.work = work
        work.mkdir(parents=True, exist_ok=True)
        _paint_folders(work / "images")
        # The first child waits for the server that all are forked from, which would count as time of its run.
        Child(["--version"], work / "server.txt").wait()

    def recipe(self, model: str, variety: str = "plain", *more: str, steps: int = 60, **intervals: int) -> Recipe:
        """A tiny run. `more` are settings, `intervals` steps between events by the last part of their keys."""
        every = {key: intervals.pop(key.rpartition(".")[2], value) for key, value in INTERVALS.items()}
        assert not intervals, f"no such intervals: {intervals}"
        settings = [f"model={model}", "device=cpu", "device.threads=1", "trainer.batch_size=8"]
        settings += [f"trainer.max_steps={steps}", "trainer.keep_checkpoints=3", "logger.projector_size=20"]
        settings += [f"{key}={value}" for key, value in every.items()]
        settings += [f"data_dir={self.work}/data", *lab.small_network(model), *self._noise(model)]
        return Recipe(model, variety, (*settings, *self._varieties(model)[variety], *more))

    def varieties(self, model: str) -> list[str]:
        return list(self._varieties(model))

    def _varieties(self, model: str) -> dict[str, list[str]]:
        """Settings that use one feature each, on the data that the model takes."""
        config = lab.compose(model)
        requires = lab.model_class(config).requires
        images = "image-folder" if requires & {"x", "pairs"} else "unpaired-folder"
        folder = [f"dataset={images}", f"dataset.path={self.work}/images/{images}", "dataset.size=16"]
        folder += ["dataset.pair=gray"] if "pairs" in requires else []
        made = ["dataset=shapes"] if "x" in requires else []
        small = [*made, *lab.small_data(f"model={model}", *made)]
        found = {
            "plain": small,
            "micro-batches": [*small, "device.micro_batch=2"],
            "bfloat16": [*small, "device.precision=bf16"],
            "averaged weights": [*small, "trainer.ema=0.9"],
            "augmentation": [*small, "loader.flip=true", "loader.shift=2"],
            "streaming": [*folder, "loader.storage=stream", "loader.workers=1", "loader.flip=true"],
            "everything at every step": [*small, *[f"{key}=1" for key in INTERVALS]],
            "rollbacks": [*small, *_ROLLBACKS],
        }
        own = locate("model", config.model["_target_"])
        if metrics := own.metrics:
            found["early stopping"] = [
                *small,
                f"trainer.early_stop_metric={next(iter(metrics))}",
                "trainer.early_stop_patience=1000",
            ]
        if hasattr(own, "sample"):
            found["evaluation"] = [
                *small,
                "trainer.evaluate_every=10",
                "evaluation.extractor=pixels",
                "evaluation.metrics=[manifold,mmd]",
                "evaluation.num_samples=32",
                "trainer.best_metric=evaluation/mmd",
            ]
        return found

    def _noise(self, model: str) -> list[str]:
        """What makes a model's step draw random numbers."""
        keys = lab.compose(model).model
        return [f"model.{key}={value}" for key, value in (("dropout", 0.2), ("input_noise", 0.1)) if key in keys]

    def reference(self, recipe: Recipe, name: str) -> Reference:
        """The uninterrupted run of `recipe`, in the folder `name`."""
        folder = self.work / name
        child = Child(train(recipe, folder), self.log(folder))
        code = child.wait()
        assert code == 0, f"the reference of {recipe} failed ({code}):\n{child.printed[-2000:]}"
        return Reference(recipe, folder, time.monotonic() - child.begin)

    @staticmethod
    def log(folder: Path) -> Path:
        """Where what the commands of a run print is collected: beside its folder."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        return folder.with_name(folder.name + ".txt")


_ROLLBACKS = [
    "watch.action=rollback",
    "watch.diversity_bound=100",
    "watch.warmup=12",
    "watch.max_rollbacks=2",
    "watch.num_samples=8",
]
"""Every look at the samples is an alarm: back twice, then the run stops by itself."""


def train(recipe: Recipe, folder: Path) -> list[str]:
    return ["train", *recipe.settings, f"hydra.run.dir={folder}"]


def resume(folder: Path) -> list[str]:
    return ["resume", f"run={folder}"]


def go_on(recipe: Recipe, folder: Path) -> list[str]:
    """What a person types to go on with a run that was ended rudely."""
    return resume(folder) if (folder / "config.yaml").is_file() else train(recipe, folder)


def finish(reference: Reference, folder: Path, **how) -> Iterator[str]:
    """Let the run in `folder` go on to its end; what is wrong then."""
    return ended(Child(go_on(reference.recipe, folder), Laboratory.log(folder), **how), reference, folder)


def ended(child: Child, reference: Reference, folder: Path) -> Iterator[str]:
    """What is wrong with the process that is to bring the run in `folder` to its end, and with the run."""
    code = child.wait()
    if code is None:
        child.kill()
    if code != 0:
        yield f"exits with {code}: {child.printed.strip()[-1000:]}"
    else:
        yield from differences(reference.folder, folder)
    if "Traceback" in child.printed:
        yield "shows a traceback"


def differences(reference: Path, folder: Path) -> Iterator[str]:
    """Where a finished run differs from the reference, to the bit; what depends on the clock left out."""
    yield from _status_differences(reference, folder)
    if (folder / "metrics.jsonl").read_bytes() != (reference / "metrics.jsonl").read_bytes():
        yield from _line_differences(reference / "metrics.jsonl", folder / "metrics.jsonl")
    for name in ("checkpoints", "previews"):
        files = [_names(run / name) for run in (reference, folder)]
        if files[0] != files[1]:
            yield f"{name}: differ in {sorted(files[0] ^ files[1])}"
        for file in sorted(files[0] & files[1]):
            same = _pixels if name == "previews" else checkpoint.load
            yield from lab.differences(same(reference / name / file), same(folder / name / file), f"{name}/{file}")
    yield from lab.differences(_events(reference), _events(folder), "tensorboard")


def _status_differences(reference: Path, folder: Path) -> Iterator[str]:
    status = [json.loads((run / "status.json").read_text()) for run in (reference, folder)]
    for key in ("status", "step", "reason", "alarms", "final"):
        if status[0][key] != status[1][key]:
            yield f"status.json: {key} {status[0][key]!r} and {status[1][key]!r}"


def _line_differences(reference: Path, path: Path) -> Iterator[str]:
    lines = [file.read_text().splitlines() for file in (reference, path)]
    yield f"metrics.jsonl: {len(lines[0])} lines and {len(lines[1])}"
    for number, (a, b) in enumerate(zip(*lines, strict=False), 1):
        if a != b:
            yield f"metrics.jsonl: line {number}: {a[:100]} and {b[:100]}"
            return


def _names(folder: Path) -> set[str]:
    """The files of a folder; damaged checkpoints that a resume put aside left out."""
    return {path.name for path in folder.iterdir() if path.suffix != ".damaged"}


def _pixels(path: Path) -> list:
    with Image.open(path) as image:
        return [image.mode, image.size, image.tobytes()]


def _events(folder: Path) -> dict[str, list]:
    """By kind and tag, what TensorBoard shows: scalars with their values, images and histograms by their steps."""
    place = RunFolder(folder).events
    if not list(place.glob("events*")):
        return {}
    events = EventAccumulator(str(place), {"scalars": 0, "images": 0, "histograms": 0})
    events.Reload()
    tags = events.Tags()
    found = {f"scalar {tag}": [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags["scalars"]}
    found |= {f"image {tag}": [event.step for event in events.Images(tag)] for tag in tags["images"]}
    found |= {f"histogram {tag}": [event.step for event in events.Histograms(tag)] for tag in tags["histograms"]}
    return {name: entries for name, entries in found.items() if not name.startswith("scalar system/")}


def _paint_folders(root: Path) -> None:
    """Images for both kinds of folder: two classes, and two domains."""
    generator = numpy.random.default_rng(0)
    for name in ("image-folder/x", "image-folder/y", "unpaired-folder/trainA", "unpaired-folder/trainB"):
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(30):
            pixels = generator.integers(0, 256, (18, 20, 3), dtype=numpy.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
