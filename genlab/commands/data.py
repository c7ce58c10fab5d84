"""`genlab data`: what a dataset holds, as numbers and as a picture, before any training."""

from pathlib import Path

import torch
from torch import Tensor

from genlab.commands.lines import command_line
from genlab.config.build import build_source
from genlab.config.commands import DataConfig
from genlab.config.options import models_that_fit, summary_of
from genlab.contract.data import DataSpec
from genlab.data.loading import as_examples
from genlab.data.source import Examples, Source
from genlab.media.grids import wrap
from genlab.media.kind import Scene
from genlab.media.kinds import shown_kind
from genlab.system.seeding import seeded
from genlab.system.text import printable

_MEASURED = 10_000
"""Rows that are read for counts and ranges; of a larger table, evenly spaced ones."""

_CLASSES = 20
"""Classes whose counts are shown."""


def main(config: DataConfig) -> None:
    source, name = build_source(config.dataset.settings), config.dataset.name
    output = _output(config)
    spec = source.spec
    print(f"dataset    {name}: {summary_of('dataset', name)}")
    print(f"fields     {', '.join(f'{key} {field}' for key, field in spec.fields.items())}")
    print(f"examples   {_sizes(source)}")
    for table in source.open(config.split):
        fields, shown = _read(table, config)
        for field in fields:
            for line in _described(spec, field, fields[field], len(table)):
                print(printable(line))
        for domain in (domain for domain in spec.domains if domain in fields):
            path = output if len(spec.domains) == 1 else output.with_stem(f"{output.stem}-{domain}")
            _save(path, spec, domain, fields[domain], shown[domain], source)
            print(f"picture    {path} ({len(shown[domain])} examples of {config.split})")
    kinds = {spec[domain].kind for domain in spec.domains}
    fitting = models_that_fit(spec.provides, kinds)
    print(f"models     {', '.join(fitting) or 'none'}")
    if fitting:
        own = {f"dataset.{key}": value for key, value in config.dataset.settings.items() if key == "path"}
        print(f"next       {command_line('train', model=_first(fitting), dataset=name, **own)}")


def _first(fitting: list[str]) -> str:
    """The model to propose: the default one, if it fits."""
    return "vae" if "vae" in fitting else fitting[0]


def _output(config: DataConfig) -> Path:
    """The PNG file to write. `ValueError` unless its name says so and its folder can be made."""
    output = Path(config.output or f"outputs/data/{config.dataset.name}.png")
    if output.suffix != ".png":
        raise ValueError(f"output={output}: must be the name of a PNG file, as in output=data.png")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"output={output}: cannot be written ({error.strerror}); name another file") from error
    return output


def _sizes(source: Source) -> str:
    pairs = " pairs" if source.spec.paired else ""
    return ", ".join(f"{split} {size}{pairs}" for split, size in source.sizes.items())


def _read(table: Examples, config: DataConfig) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Stored rows by field: evenly spaced ones to measure, and `num_shown` to show, drawn by the seed."""
    size = len(table)
    rows = torch.linspace(0, size - 1, min(size, _MEASURED), dtype=torch.float64).long()
    with seeded(config.seed):
        drawn = torch.randperm(size)[: config.num_shown]
    return table.rows(rows), table.rows(drawn)


def _described(spec: DataSpec, name: str, stored: Tensor, size: int) -> list[str]:
    """Counts of a label, range and mean of another field."""
    part = f" of {len(stored)} of {size}" if len(stored) < size else ""
    field = spec[name]
    if field.kind == "label":
        counts = torch.bincount(stored, minlength=field.size).tolist()
        named = [f"{field.names[number] if field.names else number}: {count}" for number, count in enumerate(counts)]
        more = f", and {len(named) - _CLASSES} more" if len(named) > _CLASSES else ""
        return [f"classes    {', '.join(named[:_CLASSES])}{more}{part}"]
    x = as_examples(stored, field).double()
    return [f"{name:<10} {x.min():.4g} to {x.max():.4g}, mean {x.mean():.4g}, standard deviation {x.std():.4g}{part}"]


def _save(path: Path, spec: DataSpec, domain: str, real: Tensor, shown: Tensor, source: Source) -> None:
    field, kind = spec[domain], shown_kind(spec, domain)
    scene = Scene(real=as_examples(real, field), log_density=source.log_density) if kind.has_scene else None
    path.write_bytes(kind.picture(wrap(as_examples(shown, field), columns=None), scene=scene).content)
