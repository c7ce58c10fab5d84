"""Pictures to look at through a trained run: files of the user's, or the run's own data. Read portion by portion."""

import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from genlab.config.build import build_source
from genlab.config.compose import options
from genlab.config.paths import config_folder
from genlab.config.schema import LoaderConfig
from genlab.data.arrays import Npz, read_array
from genlab.data.folders import SUFFIXES, check_folder, list_pictures
from genlab.data.loading import Loader
from genlab.data.pictures import decode
from genlab.data.source import Source
from genlab.data.spec import DataSpec
from genlab.data.torchvision_sets import PublishedSet
from genlab.sampling.load import PORTION, Run
from genlab.seeding import seeded

log = logging.getLogger("genlab")


@dataclass
class Portion:
    """Some pictures: image float32 [n, C, H, W] in [0, 1] on the CPU, and what goes with them, one entry a row.

    names: of the files, or the position in the split; label: int64 [n] where the data has labels.
    """

    names: list[str]
    image: Tensor
    label: Tensor | None = None


@dataclass
class Pictures:
    """Pictures that can be gone through any number of times.

    title: what they are called in names of folders; size: how many there are.
    origin: where exactly they come from, as plain data. skipped: damaged files that were met and left out.
    """

    title: str
    size: int
    origin: dict[str, Any] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    def portions(self) -> Iterator[Portion]:
        raise NotImplementedError

    def all(self) -> Portion:
        """All of them at once."""
        parts = list(self.portions())
        labelled = all(part.label is not None for part in parts)
        return Portion(
            [name for part in parts for name in part.names],
            torch.cat([part.image for part in parts]),
            torch.cat([part.label for part in parts]) if labelled else None,
        )


@dataclass
class Files(Pictures):
    """Picture files, scaled and cropped to what the run takes.

    asked: the key=value that named them.
    skip_damaged: whether damaged ones are left out, not refused; None where the user cannot ask for that.
    """

    paths: list[Path] = field(default_factory=list)
    root: Path = Path()
    data: DataSpec | None = None
    asked: str = ""
    skip_damaged: bool | None = None

    def portions(self) -> Iterator[Portion]:
        self.skipped.clear()
        for start in range(0, len(self.paths), PORTION):
            names, pictures = [], []
            for path in self.paths[start : start + PORTION]:
                try:
                    picture = self._read(path)
                except ValueError as error:
                    if not self.skip_damaged:
                        hint = "" if self.skip_damaged is None else " Or leave such files out: skip_damaged=true"
                        raise ValueError(f"{error}{hint}") from error
                    log.warning("left out: %s", error)
                    self.skipped.append(str(path))
                    continue
                names.append(str(path.relative_to(self.root)))
                pictures.append(picture)
            if pictures:
                yield Portion(names, torch.stack(pictures).float() / 255)
        if len(self.skipped) == len(self.paths):
            raise ValueError(f"{self.asked}: none of its {len(self.paths)} pictures can be read")

    def _read(self, path: Path) -> Tensor:
        channels, height, width = self.data.shape
        picture = decode(str(path), (3, height, width))
        if channels == 3:
            return picture
        if (picture[0] - picture[1]).any() or (picture[1] - picture[2]).any():
            raise ValueError(f"{path}: is in colour, but this run takes grey pictures (1 channel); convert it to grey.")
        return picture[:1]


@dataclass
class Held(Pictures):
    """Examples of a split of a dataset, in order. labels: int64 [N], in place of the dataset's own."""

    loader: Loader | None = None
    labels: Tensor | None = None

    def portions(self) -> Iterator[Portion]:
        start = 0
        for batch in self.loader.in_order(self.size):
            end = start + batch.size
            label = batch["label"].cpu() if "label" in batch else None
            if self.labels is not None:
                label = self.labels[start:end]
            yield Portion([str(number) for number in range(start, end)], batch.pictures.float().cpu(), label)
            start = end


def find_pictures(run: Run, config: DictConfig) -> Pictures:
    """What `config.input` names, else the validation split of `config.dataset` or of the run's own dataset."""
    if config.input is None:
        return held(run, config)
    if config.get("dataset") is not None:
        raise ValueError(f"input={config.input} and dataset={config.choices.dataset}: give one of the two")
    return open_input(run, config.input, "input", config.skip_damaged, config.get("num_pictures"))


def held(run: Run, config: DictConfig, split: str = "validation") -> Held:
    """The split of the run's own dataset, or of `config.dataset`, at most `config.num_pictures` of it."""
    source, name = run_source(run, config)
    title = split if config.dataset is None else f"{name}-{split}"
    return _held(run, source, title, name, _asked(run, config).dataset, config, split)


def _held(run: Run, source: Source, title: str, name: str, settings: Any, config: DictConfig, split: str) -> Held:
    size = min(source.sizes[split], config.get("num_pictures") or source.sizes[split])
    origin = {"dataset": name, "split": split, "settings": OmegaConf.to_container(settings, resolve=True)}
    return Held(title, size, origin, loader=open_split(run.config, source, split, run.device))


def drawn_pairs(run: Run, config: DictConfig) -> tuple[Tensor, str]:
    """Pictures [2 * config.rows, C, H, W] that `config.seed` draws from all validation data, and what these are called.

    Only those that are drawn are read.
    """
    source, name = run_source(run, config)
    size, title = source.sizes["validation"], "validation" if config.dataset is None else f"{name}-validation"
    if size < 2 * config.rows:
        raise ValueError(f"rows={config.rows}: {size} pictures of {title} make fewer pairs")
    with seeded(config.seed):
        rows = torch.randperm(size)[: 2 * config.rows]
    (table,) = source.open("validation")
    return table.rows(rows)["image"].float() / 255, title


def open_input(run: Run, place: str, key: str, skip_damaged: bool | None = None, limit: int | None = None) -> Pictures:
    """Pictures of a file, a folder or an npz file. `ValueError` naming `key` where there are none that fit the run."""
    path = Path(place).expanduser()
    origin = {"path": str(path.resolve())}
    if path.suffix == ".npz":
        return _npz(run, path, key, limit, origin)
    given = {"origin": origin, "data": run.data, "asked": f"{key}={place}", "skip_damaged": skip_damaged}
    if path.is_file():
        if not path.name.lower().endswith(SUFFIXES):
            raise ValueError(f"{key}={place}: not a picture; give a file that ends in {' '.join(SUFFIXES)} or .npz")
        return Files(path.stem, 1, paths=[path], root=path.parent, **given)
    if path.suffix.lower() in SUFFIXES and not path.exists():
        raise ValueError(f"{key}={place}: no such file")
    root = Path(check_folder(place, "photographs", key=key))
    paths = [Path(name) for name in list_pictures(str(root), key=key)][:limit]
    return Files(root.resolve().name, len(paths), paths=paths, root=root, **given)


def _npz(run: Run, path: Path, key: str, limit: int | None, origin: dict[str, Any]) -> Held:
    try:
        source = Npz(path=str(path), validation_images_key="images")
        _check_shape(run, source, f"{key}={path}")
        loader = open_split(run.config, source, "validation", run.device)
    except ValueError as error:
        raise ValueError(_of_npz(str(error), path, key)) from error
    size = min(source.sizes["validation"], limit or source.sizes["validation"])
    return Held(path.stem, size, origin, loader=loader, labels=_labels(source))


def _of_npz(problem: str, path: Path, key: str) -> str:
    """What the npz dataset finds wrong with a file, in terms of the key that named it and without settings to give."""
    problem = problem.replace(f"dataset.path={path}", f"{key}={path}")
    problem = problem.replace("dataset.images_key=images", f"{path}: images")
    if problem.startswith(f"{path}: "):
        problem = f"{key}={problem}"
    if " Give " in problem:
        advice = " Store pictures as uint8 [N, height, width, channels], from 0 to 255."
        problem = re.sub(r" Give [^.]*dataset\..*", advice, problem, flags=re.DOTALL)
    return problem


def _labels(source: Npz) -> Tensor | None:
    """The array `labels` of the file, where it holds an integer for each picture; any integers name classes here."""
    header = source.headers.get("labels")
    if header is None or header.dtype.kind not in "ui" or header.shape != (source.sizes["validation"],):
        return None
    return torch.from_numpy(read_array(source.path, "labels").astype(np.int64))


def run_source(run: Run, config: DictConfig) -> tuple[Source, str]:
    """The dataset that `config.dataset` names, else the run's own; and what it is called."""
    asked = _asked(run, config)
    name = asked.choices.dataset
    if asked is config:
        source = build_source(config)
        _check_fit(run, source, f"dataset={name}")
        return source, name
    try:
        return build_source(asked), name
    except ValueError as error:
        raise ValueError(
            f"the data that run={run.folder} was trained on cannot be had here: {error} "
            "Or name another: dataset=NAME, or input=FOLDER where the command takes it."
        ) from error


def _asked(run: Run, config: DictConfig) -> DictConfig:
    """The config whose `dataset` is meant: `config`, else the run's own, looked for where data lies here.

    From the place that the run names data is read only: what is to be unpacked or fetched goes where the user says.
    """
    if config.dataset is not None:
        return config
    own = OmegaConf.create(OmegaConf.to_container(run.config))
    recorded = own.dataset.get("data_dir")
    if recorded is not None and not (os.path.isdir(recorded) and is_ready(build_source(own))):
        own.dataset.data_dir = config.data_dir
    return own


def is_ready(source: Source) -> bool:
    """Whether opening a source writes nothing."""
    return not isinstance(source, PublishedSet) or source.lies_in(source.data_dir)


def open_against(run: Run, config: DictConfig) -> Pictures:
    """What `config.against` names: a dataset's validation split, a picture, a folder or an npz file."""
    place = config.against
    if place in options("dataset") and not os.path.exists(place):
        node = OmegaConf.load(config_folder() / "dataset" / f"{place}.yaml")
        if "path" in node and node.path is None:
            raise ValueError(f"against={place}: is a dataset of your own files; name these: against=photographs")
        whole = OmegaConf.create({"seed": config.seed, "data_dir": config.data_dir, "dataset": node})
        source = build_source(whole)
        _check_fit(run, source, f"against={place}")
        return _held(run, source, place, place, whole.dataset, config, "validation")
    if not os.path.exists(os.path.expanduser(place)):
        known = ", ".join(options("dataset"))
        raise ValueError(f"against={place}: neither a folder, nor a file, nor a dataset (there are: {known})")
    return open_input(run, place, "against", config.skip_damaged, config.num_pictures)


def open_split(config: DictConfig, source: Source, split: str, device: torch.device) -> Loader:
    """Batches of a split on `device`, loaded as a run's config says, without augmentation."""
    settings = LoaderConfig(**{**config.loader, "flip": False, "shift": 0})
    return Loader(source, split, settings, seed=config.seed, device=device)


def _check_fit(run: Run, source: Source, what: str) -> None:
    """Labels are not asked for: what the data's own labels are matters to no command."""
    if missing := run.model.requires - {"label"} - source.spec.provides:
        raise ValueError(
            f"{what}: holds no {', '.join(sorted(missing))}, which model {run.config.choices.model} takes; "
            f"it holds {', '.join(sorted(source.spec.provides))}"
        )
    _check_shape(run, source, what)


def _check_shape(run: Run, source: Source, what: str) -> None:
    """All that is asked of pictures on their own, whatever their domain."""
    if source.spec.shape != run.data.shape:
        theirs, ours = ("x".join(map(str, spec.shape)) for spec in (source.spec, run.data))
        raise ValueError(
            f"{what}: holds pictures of {theirs} (channels, height, width), but run={run.folder} takes {ours}"
        )
