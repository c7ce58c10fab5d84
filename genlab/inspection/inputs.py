"""Examples named on the command line: files, folders, npz files, datasets."""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genlab.config.build import build_source
from genlab.config.commands import ImagesConfig, ScoreConfig
from genlab.config.options import dataset_defaults
from genlab.config.paths import options
from genlab.contract.data import Field
from genlab.data.arrays import Npz
from genlab.data.decoding import SUFFIXES
from genlab.data.listing import check_folder, list_images
from genlab.data.numpy_files import read_array, read_headers
from genlab.data.point_files import read_points
from genlab.data.sounds import SUFFIXES as SOUNDS
from genlab.data.sounds import Preparation, read_sound
from genlab.inference.run import Run
from genlab.inspection.dataset import check_field, check_fit, dataset_images, dataset_origin, images_of, left_out
from genlab.inspection.images import DatasetImages, Images, UserImages, UserPoints, tell
from genlab.media.kinds import kind_of, shown_kind


def find_images(run: Run, config: ImagesConfig) -> Images:
    """Images of `config.input`, or else the validation split of `config.dataset` or of the run's own dataset."""
    if config.input is None:
        return dataset_images(run, config, config.num_images)
    places_training_data = isinstance(config, ScoreConfig) and config.own  # which scores are compared with
    if config.dataset is not None and not places_training_data:
        raise ValueError(f"input={config.input} and {config.dataset}: give one of the two")
    return open_input(run, config.input, "input", config.skip_damaged, config.num_images)


def open_input(
    run: Run,
    place: str,
    key: str,
    skip_damaged: bool | None = None,
    limit: int | None = None,
    domain: str | None = None,
    wanted: Field | None = None,
) -> Images:
    """Images of a file, a folder or an npz file, or points of a csv or npz file. `ValueError` naming `key` if there are
    none that fit the run.

    domain: the field that they are examples of, by default the first that is modelled. wanted: another one instead.
    """
    wanted = wanted or run.data[domain or run.data.domains[0]]
    path = Path(place).expanduser()
    origin = {"path": str(path.resolve())}
    if not kind_of(wanted).levels:
        return _points(run, wanted, path, key, limit, origin)
    if path.suffix == ".npz":
        return _npz(run, wanted, path, key, limit, origin)
    endings, what, reader = (SOUNDS, "sounds", _sound_reader(run)) if wanted.spectrogram else (SUFFIXES, "images", None)
    if path.is_file():
        if not path.name.lower().endswith(endings):
            raise ValueError(f"{key}={place}: holds no {what}; give a file that ends in {' '.join(endings)} or .npz")
        title, root, paths = path.stem, path.parent, [path]
    elif path.suffix.lower() in endings and not path.exists():
        raise ValueError(f"{key}={place}: no such file")
    else:
        root = Path(check_folder(place, "recordings" if wanted.spectrogram else "photographs", key, what))
        found = list_images(str(root), key, endings, what)
        title, paths = root.resolve().name, [Path(name) for name in found.paths[:limit]]
        tell(found.notes)
    own: dict[str, Any] = {"read_file": reader} if reader else {}
    settings = {"wanted": wanted, "asked": f"{key}={place}", "skip_damaged": skip_damaged, **own}
    return UserImages(title, len(paths), origin, paths=paths, root=root, **settings)


def _sound_reader(run: Run) -> Callable[[str, Field], Tensor]:
    """What reads files of sound as the run's dataset does, but of any rate, as it does images of any size."""
    given = {key: value for key, value in run.config.dataset.items() if key in Preparation._fields} | {"resample": True}
    return lambda path, field: read_sound(path, field, Preparation(**given))


def open_against(run: Run, config: ScoreConfig) -> Images:
    """Images of `config.against`: a dataset's validation split, an image, a folder or an npz file."""
    place = str(config.against)
    if place == "left-out":
        return left_out(run, config)
    if place in options("dataset") and not os.path.exists(place):
        settings = dataset_defaults(place, config.seed, config.data_dir)
        if "path" in settings and settings["path"] is None:
            raise ValueError(f"against={place}: is a dataset of your own files; name these: against=photographs")
        source = build_source(settings)
        check_fit(run, source, f"against={place}")
        return images_of(run, source, place, dataset_origin(place, settings), config.num_images)
    if not os.path.exists(os.path.expanduser(place)):
        known = ", ".join(options("dataset"))
        raise ValueError(f"against={place}: neither a folder, nor a file, nor a dataset (there are: {known})")
    return open_input(run, place, "against", config.skip_damaged, config.num_images)


def latent_of(run: Run, place: str, key: str, condition: dict[str, Any]) -> tuple[Tensor, str]:
    """The latent [1, L] of one image file, and its title. `ValueError` naming `key` if it is not one image.

    condition: values by field, for models that have conditions.
    """
    run.capability("encode")
    if not Path(place).expanduser().exists():
        raise ValueError(f"{key}={place}: no such file; name the file of one example")
    found = open_input(run, place, key)
    if found.size != 1:
        raise ValueError(f"{key}={place}: holds {found.size} {shown_kind(run.data).plural}; name the file of one")
    given = run.conditioning.of_examples(1, condition, {})
    return run.encode(next(found.batches("encoding")), given), found.title


def _points(run: Run, wanted: Field, path: Path, key: str, limit: int | None, origin: dict[str, Any]) -> UserPoints:
    if not path.is_file() or path.suffix.lower() not in (".csv", ".npz"):
        raise ValueError(f"{key}={path}: no file of points; give a .csv file, or an .npz file with an array points")
    points = read_points(path, key)
    labels = _labels(str(path), len(points)) if path.suffix.lower() == ".npz" else None
    check_field(run, replace(wanted, shape=tuple(points.shape[1:])), wanted, f"{key}={path}")
    return UserPoints(path.stem, len(points[:limit]), origin, points=points[:limit], given_labels=labels)


def _npz(run: Run, wanted: Field, path: Path, key: str, limit: int | None, origin: dict[str, Any]) -> DatasetImages:
    try:
        source = Npz(path=str(path), validation_images_key="images", channels=wanted.shape[0])
        check_field(run, replace(source.spec["x"], spectrogram=wanted.spectrogram), wanted, f"{key}={path}")
        return images_of(run, source, path.stem, origin, limit, _labels(source.path, source.sizes["validation"]))
    except ValueError as error:
        raise ValueError(_in_terms_of(key, path, str(error))) from error


def _in_terms_of(key: str, path: Path, problem: str) -> str:
    """Rewrite an error of the npz dataset: name `key`, and suggest no settings that the command does not have."""
    problem = problem.replace(f"dataset.path={path}", f"{key}={path}")
    problem = problem.replace("dataset.images_key=images", f"{path}: images")
    if problem.startswith(f"{path}: "):
        problem = f"{key}={problem}"
    if " Give " in problem:
        advice = " Store images as uint8 [N, height, width, channels], from 0 to 255."
        problem = re.sub(r" Give [^.]*dataset\..*", advice, problem, flags=re.DOTALL)
    return problem


def _labels(path: str, size: int) -> Tensor | None:
    """The array `labels` of an npz file, if it holds one integer for each of its `size` examples. Any integers are
    accepted as classes."""
    header = read_headers(path).get("labels")
    if header is None or header.dtype.kind not in "ui" or header.shape != (size,):
        return None
    return torch.from_numpy(read_array(path, "labels").astype(np.int64))
