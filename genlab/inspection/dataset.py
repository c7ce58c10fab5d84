"""The dataset that a trained run is used on: its own, or another one named on the command line."""

import os
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from genlab.checkpoints.folder import RunFolder
from genlab.config.build import build_source
from genlab.config.commands import DatasetChoice, DataUseConfig, ScoreConfig
from genlab.config.options import read_option
from genlab.config.places import moved
from genlab.contract.data import Condition, Field
from genlab.data.fingerprint import check_data, fingerprint
from genlab.data.listing import shown
from genlab.data.loading import as_examples, open_split
from genlab.data.published import is_ready
from genlab.data.source import Source
from genlab.inference.run import Run
from genlab.inspection.images import DatasetImages, tell
from genlab.media.kinds import class_name
from genlab.system.seeding import seeded
from genlab.system.small_files import read_json
from genlab.system.text import NUMBER


def run_source(run: Run, config: DataUseConfig) -> tuple[Source, DatasetChoice]:
    """The dataset `config.dataset`, or by default the run's own.

    The data folder recorded in the run is only read from, and only if the data is ready there. Otherwise the user's
    `config.data_dir` is used: archives are unpacked and downloads stored there.
    """
    source, choice = _found(run, config)
    if config.own:
        _check_classes(run, source)
    tell(source.notes)
    return source, choice


def _found(run: Run, config: DataUseConfig) -> tuple[Source, DatasetChoice]:
    if not config.own:
        choice = fitted(run, config.dataset)
        source = build_source(choice.settings)
        check_fit(run, source, f"dataset={choice.name}")
        return source, choice
    given = config.dataset.settings if config.dataset else {}
    settings = moved(run.config.dataset, given)
    if given:
        return _checked(run, build_source(settings)), DatasetChoice(run.config.choices.dataset, settings)
    recorded = settings.get("data_dir")
    try:
        if recorded is not None and not (os.path.isdir(recorded) and is_ready(build_source(settings))):
            settings["data_dir"] = config.data_dir
        return build_source(settings), DatasetChoice(run.config.choices.dataset, settings)
    except ValueError as error:
        raise ValueError(
            f"the data that run={run.folder} was trained on is not available here: {str(error).rstrip('.')}. If it was "
            "moved, say where it is by dataset.path=PLACE; or name other data: dataset=NAME, or input=FOLDER if the "
            "command takes it."
        ) from error


def own_source(run: Run, config: DataUseConfig, opened: bool) -> Source | None:
    """The run's own data, from where it recorded them or where `config` says that they are; None if not at hand.
    opened: whether they are read for another reason too, even if that takes a download."""
    try:
        source, _ = _found(run, config if config.own else replace(config, dataset=None))
    except (OSError, ValueError):
        return None
    return source if opened or is_ready(source) else None


def left_out(run: Run, config: ScoreConfig) -> DatasetImages:
    """Validation images of the classes that the run was trained without."""
    _, choice = _found(run, config if config.own else replace(config, dataset=None))
    opposite = {"only": "without", "without": "only"}
    settings = {opposite.get(key, key): value for key, value in choice.settings.items()}
    if settings.get("only") is None and settings.get("without") is None:  # older runs have no such keys
        raise ValueError(f"against=left-out: run={run.folder} was trained on all classes (dataset.without)")
    source = build_source(settings)
    return images_of(run, source, "left-out", dataset_origin(choice.name, settings), config.num_images)


def _check_classes(run: Run, source: Source) -> None:
    """`ValueError` if the classes of a run's own data are not those that it was trained on, in their order."""
    if not ("label" in run.data and "label" in source.spec):
        return
    fields = (run.data["label"], source.spec["label"])
    then, now = (tuple(class_name(field, number) for number in range(field.size)) for field in fields)
    words = not all(map(NUMBER.fullmatch, then + now))
    if then != now and not (words and not all(field.names for field in fields)):  # names may be younger than the run
        raise ValueError(
            f"the classes of the data are not those that run={run.folder} was trained on ({shown(then)} then, "
            f"{shown(now)} now): put them back, or name other data: dataset=NAME"
        )


def fitted(run: Run, choice: DatasetChoice) -> DatasetChoice:
    """A dataset of image files with the run's size and channels where the user has chosen none: they are converted."""
    usual = read_option("dataset", choice.name)
    shapes = [run.data[domain].shape for domain in run.data.domains][-1 if choice.settings.get("pair") else 0 :]
    if len(shapes[0]) != 3 or not {"size", "channels"} <= set(usual):
        return choice
    channels = [shape[0] for shape in shapes]
    height, width = shapes[0][1:]
    own = {
        "size": height if height == width else [height, width],
        "channels": channels[0] if len(set(channels)) == 1 else channels,
    }
    free = {key: value for key, value in own.items() if choice.settings.get(key) == usual[key]}
    return DatasetChoice(choice.name, choice.settings | free)


def _checked(run: Run, source: Source) -> Source:
    """`source`, if it holds the data that the run was trained on, as far as the run has a record of them."""
    if (record := RunFolder(run.folder).environment).is_file():
        loader = open_split(source, "train", run.config.loader, seed=run.config.seed, device=torch.device("cpu"))
        check_data(read_json(record), fingerprint(loader))
    return source


def dataset_images(
    run: Run, config: DataUseConfig, limit: int | None = None, domain: str | None = None
) -> DatasetImages:
    """The first `limit` images (None: all) of the validation data of `config.dataset`, or of the run's own.

    domain: the field that is meant, by default the first that is modelled.
    """
    source, choice = run_source(run, config)
    title = "validation" if config.own else f"{choice.name}-validation"
    origin = dataset_origin(choice.name, choice.settings)
    return replace(images_of(run, source, title, origin, limit), conditions=config.own, domain=domain)


def dataset_origin(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Where the images of a dataset come from."""
    return {"dataset": name, "split": "validation", "settings": settings}


def images_of(
    run: Run, source: Source, title: str, origin: dict[str, Any], limit: int | None, labels: Tensor | None = None
) -> DatasetImages:
    """The first `limit` images of the validation split; None for all. labels: int64 [N], instead of its own."""
    size = min(source.sizes["validation"], limit or source.sizes["validation"])
    loader = open_split(source, "validation", run.config.loader, seed=run.config.seed, device=run.device)
    return DatasetImages(title, size, origin, loader=loader, given_labels=labels)


def drawn_pairs(run: Run, config: DataUseConfig, pairs: int) -> tuple[Tensor, Condition, str]:
    """Examples [2 * pairs, *shape] drawn from all validation data by `config.seed`, what the run is conditioned on as
    far as they say, and a title for them.

    Only the images that are drawn are read.
    """
    source, choice = run_source(run, config)
    size, title = source.sizes["validation"], "validation" if config.own else f"{choice.name}-validation"
    if size < 2 * pairs:
        raise ValueError(f"rows={pairs}: {size} images of {title} make fewer pairs")
    with seeded(config.seed):
        rows = torch.randperm(size)[: 2 * pairs]
    (table,) = source.open("validation")
    found = {name: as_examples(value, source.spec[name]) for name, value in table.rows(rows).items()}
    return found.pop("x"), found if config.own else {}, title


def check_fit(run: Run, source: Source, what: str) -> None:
    """`ValueError` unless `source` holds the modelled fields of the run. Others are not required."""
    if missing := set(run.data.domains) - source.spec.provides:
        pairs = "; pairs of images are made by dataset.pair=NAME" if "pairs" in run.model.requires else ""
        raise ValueError(
            f"{what}: holds no {', '.join(sorted(missing))}, which model {run.config.choices.model} takes; "
            f"it holds {', '.join(sorted(source.spec.provides))}{pairs}"
        )
    for domain in run.data.domains:
        check_field(run, source.spec[domain], run.data[domain], what)


def check_field(run: Run, found: Field, wanted: Field, what: str) -> None:
    """`ValueError` unless the field `found` holds examples of the kind and shape that the run wants."""
    if (found.kind, found.shape, found.spectrogram) != (wanted.kind, wanted.shape, wanted.spectrogram):
        differ = (found.kind, found.shape) == (wanted.kind, wanted.shape)
        both = (f"{field}{f' ({field.spectrogram})' if differ else ''}" for field in (found, wanted))
        raise ValueError(f"{what}: holds {next(both)}, but run={run.folder} takes {next(both)}")
