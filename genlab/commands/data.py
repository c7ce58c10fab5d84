"""`genlab data`: what a dataset holds, as numbers and as a picture, before any training."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genlab.commands.lines import command_line
from genlab.commands.requests import compose_request
from genlab.config.build import build_source
from genlab.config.commands import DataConfig
from genlab.config.options import class_of, dataset_defaults, models_that_fit, summary_of
from genlab.contract.data import DataSpec
from genlab.contract.model import Grid
from genlab.contract.settings import EVERY_DATASET
from genlab.data.loading import as_examples
from genlab.data.source import ArrayExamples, Examples, Source
from genlab.media.grids import wrap
from genlab.media.kind import Scene
from genlab.media.kinds import captions_of, numbered, shown_kind
from genlab.system.seeding import seeded
from genlab.system.text import printable

_MEASURED = 10_000
"""Rows that are read for counts and ranges; of a larger table, evenly spaced ones."""

_SHOWN, _PLOTTED = 64, 2_000
"""Examples shown by default: each by itself, or as points of a plot."""

_CLASSES, _ENTRIES = 20, 16
"""Classes whose counts are shown; entries of an example that are measured each by itself."""


def main(config: DataConfig) -> None:
    source, name = build_source(config.dataset.settings), config.dataset.name
    output = _output(config)
    spec = source.spec
    print(f"dataset    {name}: {summary_of('dataset', name)}")
    print(f"fields     {spec}")
    for label in spec.fields.values():
        if label.size and (classes := numbered(label)):
            print(f"classes    {classes}")
    print(f"examples   {', '.join(f'{split} {size}' for split, size in source.sizes.items())}")
    for note in source.notes:
        print(f"note       {printable(note)}")
    for table in source.open(config.split):
        fields, shown = _read(table, config, shown_kind(spec).has_scene)
        for field in fields:
            for line in _described(spec, field, fields[field], len(table)):
                print(printable(line))
        for domain in (domain for domain in spec.domains if domain in fields):
            path = output if len(spec.domains) == 1 else output.with_stem(f"{output.stem}-{domain}")
            _save(path, spec, domain, shown, source)
            print(f"picture    {path} ({len(shown[domain])} examples of {config.split})")
    kinds = {spec[domain].kind for domain in spec.domains}
    fitting = models_that_fit(spec.provides, kinds)
    print(f"models     {', '.join(fitting) or 'none'}")
    if fitting:
        print(f"next       {command_line('train', model=_first(fitting), dataset=name, **_own(config))}")


def _own(config: DataConfig) -> dict[str, Any]:
    """The settings to repeat in training, so that it sees the same data: those that are not the defaults."""
    usual = compose_request("data", [f"dataset={config.dataset.name}"])
    own = {key: getattr(config, key) for key in ("data_dir", "seed") if getattr(config, key) != getattr(usual, key)}
    defaults = {**EVERY_DATASET, **dataset_defaults(config.dataset.name, config.seed, config.data_dir)}
    chosen = config.dataset.settings
    return own | {f"dataset.{key}": value for key, value in chosen.items() if value != defaults[key]}


def _first(fitting: list[str]) -> str:
    """The model to propose: the default one, if it fits, else one that uses most of the data."""
    return "vae" if "vae" in fitting else max(fitting, key=lambda name: len(class_of("model", name).requires))


def _output(config: DataConfig) -> Path:
    """The PNG file to write. `ValueError` unless its name says so."""
    output = Path(config.output or f"outputs/data/{config.dataset.name}.png")
    if output.suffix != ".png":
        raise ValueError(f"output={output}: must be the name of a PNG file, as in output=data.png")
    return output


def _read(table: Examples, config: DataConfig, plotted: bool) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Stored rows by field: evenly spaced ones to measure, and some to show, drawn by the seed."""
    size = len(table)
    rows = torch.linspace(0, size - 1, min(size, _MEASURED), dtype=torch.float64).long()
    with seeded(config.seed):
        drawn = torch.randperm(size)[: config.num_shown or (_PLOTTED if plotted else _SHOWN)]
    measured = table.rows(rows)
    if isinstance(table, ArrayExamples):  # small fields are at hand, so that their counts are those of the whole table
        measured |= {name: value for name, value in table.load().items() if value[:1].numel() <= _ENTRIES}
    return measured, table.rows(drawn)


def _described(spec: DataSpec, name: str, stored: Tensor, size: int) -> Iterator[str]:
    """Counts of a label; range, mean and standard deviation of another field, of each entry if there are few."""
    part = f" ({len(stored)} of {size} read)" if len(stored) < size else ""
    field = spec[name]
    if field.size and not field.shape:
        counts = torch.bincount(stored, minlength=field.size).tolist()
        named = [f"{field.names[number] if field.names else number}: {count}" for number, count in enumerate(counts)]
        more = f", and {len(named) - _CLASSES} more" if len(named) > _CLASSES else ""
        yield f"{name:<10} {', '.join(named[:_CLASSES])}{more}{part}"
        return
    x = as_examples(stored, field).double()
    columns = x.unbind(1) if x.ndim == 2 and x.shape[1] <= _ENTRIES else [x]
    for number, column in enumerate(columns):
        entry = field.names[number] if field.names else f"[{number}]" if len(columns) > 1 else ""
        values = f"{column.min():.4g} to {column.max():.4g}, mean {column.mean():.4g}"
        std = f", std {column.std():.4g}" if column.numel() > 1 else ""
        yield f"{'' if number else name:<10} {entry:<{5 if entry else 0}}{values}{std}{part}"


def _save(path: Path, spec: DataSpec, domain: str, shown: dict[str, Tensor], source: Source) -> None:
    field, kind = spec[domain], shown_kind(spec, domain)
    x = as_examples(shown[domain], field)
    if kind.has_scene:  # a plot has no cells to fill
        picture = kind.picture(x[None], scene=Scene(log_density=source.log_density))
    else:
        picture = kind.picture(Grid(wrap(x, columns=None), cells=captions_of(spec, shown)))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture.content)
    except OSError as error:
        raise ValueError(f"output={path}: cannot be written ({error.strerror}); name another file") from error
