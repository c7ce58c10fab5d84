"""Pictures to look at through a trained run: files of the user's, or the run's own data. Read portion by portion."""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from genlab.config.build import build_source
from genlab.config.compose import options
from genlab.config.paths import config_folder
from genlab.config.schema import LoaderConfig
from genlab.data.arrays import Npz
from genlab.data.folders import SUFFIXES, check_folder, list_pictures
from genlab.data.loading import Loader
from genlab.data.pictures import decode
from genlab.data.source import Source
from genlab.data.spec import DataSpec
from genlab.sampling.load import PORTION, Run

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
    skipped: damaged files that were met and left out.
    """

    title: str
    size: int
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

    skip_damaged: whether damaged ones are left out, not refused; None where the user cannot ask for that.
    """

    paths: list[Path] = field(default_factory=list)
    root: Path = Path()
    data: DataSpec | None = None
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
            raise ValueError(f"input={self.root}: none of its {len(self.paths)} pictures can be read")

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
    """Examples of a split of a dataset, in order."""

    loader: Loader | None = None

    def portions(self) -> Iterator[Portion]:
        start = 0
        for batch in self.loader.in_order(self.size):
            names = [str(number) for number in range(start, start + batch.size)]
            label = batch["label"].cpu() if "label" in batch else None
            yield Portion(names, batch.pictures.float().cpu(), label)
            start += batch.size


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
    size = min(source.sizes[split], config.get("num_pictures") or source.sizes[split])
    title = split if config.dataset is None else f"{name}-{split}"
    return Held(title, size, loader=open_split(run.config, source, split, run.device))


def open_input(run: Run, place: str, key: str, skip_damaged: bool | None = None, limit: int | None = None) -> Pictures:
    """Pictures of a file, a folder or an npz file. `ValueError` naming `key` where there are none that fit the run."""
    path = Path(place).expanduser()
    if path.suffix == ".npz":
        return _npz(run, path, key, limit)
    if path.is_file():
        if not path.name.lower().endswith(SUFFIXES):
            raise ValueError(f"{key}={place}: not a picture; give a file that ends in {' '.join(SUFFIXES)} or .npz")
        return Files(path.stem, 1, paths=[path], root=path.parent, data=run.data, skip_damaged=skip_damaged)
    root = Path(check_folder(place, "photographs", key=key))
    paths = [Path(name) for name in list_pictures(str(root), key=key)][:limit]
    return Files(root.resolve().name, len(paths), paths=paths, root=root, data=run.data, skip_damaged=skip_damaged)


def _npz(run: Run, path: Path, key: str, limit: int | None) -> Held:
    try:
        source = Npz(path=str(path), validation_images_key="images")
    except ValueError as error:
        raise ValueError(str(error).replace("dataset.path", key).replace("dataset.images_key", key)) from error
    _check_shape(run, source, f"{key}={path}")
    size = min(source.sizes["validation"], limit or source.sizes["validation"])
    return Held(path.stem, size, loader=open_split(run.config, source, "validation", run.device))


def run_source(run: Run, config: DictConfig) -> tuple[Source, str]:
    """The dataset that `config.dataset` names, else the run's own; and what it is called."""
    if config.dataset is not None:
        source, name = build_source(config), config.choices.dataset
        _check_shape(run, source, f"dataset={name}")
        return source, name
    own = OmegaConf.create(OmegaConf.to_container(run.config))
    recorded = own.dataset.get("data_dir")
    if recorded is not None and not os.path.isdir(recorded):
        own.dataset.data_dir = config.data_dir
    try:
        return build_source(own), own.choices.dataset
    except ValueError as error:
        raise ValueError(
            f"the data that run={run.folder} was trained on cannot be had here: {error} "
            "Or name another: dataset=NAME, or input=FOLDER where the command takes it."
        ) from error


def named_dataset(run: Run, name: str, config: DictConfig) -> Source:
    """The dataset of the file `configs/dataset/NAME.yaml` at its defaults. `ValueError` where there is none."""
    node = OmegaConf.load(config_folder() / "dataset" / f"{name}.yaml")
    source = build_source(OmegaConf.create({"seed": config.seed, "data_dir": config.data_dir, "dataset": node}))
    _check_shape(run, source, name)
    return source


def open_against(run: Run, config: DictConfig) -> Pictures:
    """What `config.against` names: a dataset's validation split, a picture, a folder or an npz file."""
    place = config.against
    if place in options("dataset") and not os.path.exists(place):
        source = named_dataset(run, place, config)
        size = min(source.sizes["validation"], config.num_pictures or source.sizes["validation"])
        return Held(place, size, loader=open_split(run.config, source, "validation", run.device))
    if not os.path.exists(os.path.expanduser(place)):
        known = ", ".join(options("dataset"))
        raise ValueError(f"against={place}: neither a folder, nor a file, nor a dataset (there are: {known})")
    return open_input(run, place, "against", config.skip_damaged, config.num_pictures)


def open_split(config: DictConfig, source: Source, split: str, device: torch.device) -> Loader:
    """Batches of a split on `device`, loaded as a run's config says, without augmentation."""
    settings = LoaderConfig(**{**config.loader, "flip": False, "shift": 0})
    return Loader(source, split, settings, seed=config.seed, device=device)


def _check_shape(run: Run, source: Source, what: str) -> None:
    if source.spec.shape != run.data.shape:
        theirs, ours = ("x".join(map(str, spec.shape)) for spec in (source.spec, run.data))
        raise ValueError(
            f"{what}: holds pictures of {theirs} (channels, height, width), but run={run.folder} takes {ours}"
        )
