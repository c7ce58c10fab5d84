"""The dataset that a trained run is used on: its own, or another one named on the command line."""

import os

import torch
from torch import Tensor

from genlab.config.build import build_source
from genlab.config.commands import DatasetChoice, DataUseConfig
from genlab.data.loading import open_split
from genlab.data.published import PublishedSet
from genlab.data.source import Source
from genlab.inference.run import Run
from genlab.inspection.images import DatasetImages
from genlab.system.seeding import seeded


def run_source(run: Run, config: DataUseConfig) -> tuple[Source, str]:
    """The dataset `config.dataset`, or by default the run's own, and its name."""
    choice = chosen_dataset(run, config)
    if config.dataset is not None:
        source = build_source(choice.settings)
        check_fit(run, source, f"dataset={choice.name}")
        return source, choice.name
    try:
        return build_source(choice.settings), choice.name
    except ValueError as error:
        raise ValueError(
            f"the data that run={run.folder} was trained on is not available here: {error} "
            "Or name another: dataset=NAME, or input=FOLDER if the command takes it."
        ) from error


def chosen_dataset(run: Run, config: DataUseConfig) -> DatasetChoice:
    """`config.dataset`, or by default the run's own.

    The data folder recorded in the run is only read from, and only if the data is ready there. Otherwise the user's
    `config.data_dir` is used: archives are unpacked and downloads stored there.
    """
    if config.dataset is not None:
        return config.dataset
    settings = dict(run.config.dataset)
    recorded = settings.get("data_dir")
    if recorded is not None and not (os.path.isdir(recorded) and is_ready(build_source(settings))):
        settings["data_dir"] = config.data_dir
    return DatasetChoice(run.config.choices.dataset, settings)


def is_ready(source: Source) -> bool:
    """Whether a source can be opened without writing files."""
    return not isinstance(source, PublishedSet) or source.lies_in(source.data_dir)


def dataset_images(run: Run, config: DataUseConfig, split: str = "validation") -> DatasetImages:
    """A split of `config.dataset`, or by default of the run's own dataset; at most `config.num_images` images."""
    source, name = run_source(run, config)
    title = split if config.dataset is None else f"{name}-{split}"
    return images_of(run, source, title, chosen_dataset(run, config), getattr(config, "num_images", None), split)


def images_of(
    run: Run, source: Source, title: str, choice: DatasetChoice, limit: int | None, split: str = "validation"
) -> DatasetImages:
    """The first `limit` images of a split; None for all."""
    size = min(source.sizes[split], limit or source.sizes[split])
    origin = {"dataset": choice.name, "split": split, "settings": choice.settings}
    loader = open_split(source, split, run.config.loader, seed=run.config.seed, device=run.device)
    return DatasetImages(title, size, origin, loader=loader)


def drawn_pairs(run: Run, config: DataUseConfig, pairs: int) -> tuple[Tensor, str]:
    """Images [2 * pairs, C, H, W] drawn from all validation data by `config.seed`, and a title for them.

    Only the images that are drawn are read.
    """
    source, name = run_source(run, config)
    size, title = source.sizes["validation"], "validation" if config.dataset is None else f"{name}-validation"
    if size < 2 * pairs:
        raise ValueError(f"rows={pairs}: {size} images of {title} make fewer pairs")
    with seeded(config.seed):
        rows = torch.randperm(size)[: 2 * pairs]
    (table,) = source.open("validation")
    return table.rows(rows)["image"].float() / 255, title


def check_fit(run: Run, source: Source, what: str) -> None:
    """`ValueError` unless `source` holds the images that the run takes. Labels are not required: no command needs the
    data's own labels."""
    if missing := run.model.requires - {"label"} - source.spec.provides:
        raise ValueError(
            f"{what}: holds no {', '.join(sorted(missing))}, which model {run.config.choices.model} takes; "
            f"it holds {', '.join(sorted(source.spec.provides))}"
        )
    check_shape(run, source, what)


def check_shape(run: Run, source: Source, what: str) -> None:
    """`ValueError` unless the images of `source` have the run's shape, in whatever domain."""
    if source.spec.shape != run.data.shape:
        theirs, ours = ("x".join(map(str, spec.shape)) for spec in (source.spec, run.data))
        raise ValueError(
            f"{what}: holds images of {theirs} (channels, height, width), but run={run.folder} takes {ours}"
        )
