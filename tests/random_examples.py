"""Noise in place of a dataset: any fields that a model requires, of any kind that can be modelled, without files."""

import torch
from torch import Tensor

from genlab.contract.data import DataSpec, Field
from genlab.contract.model import GenerativeModel
from genlab.data.source import ArrayExamples, Examples, Source

CENTRE, SCALE = (1.5, -4.0), (0.5, 2.0)
"""Of points: in units of the data that are not those of the networks."""


class RandomExamples(Source):
    """Noise with the fields that a model of a kind may require, deterministic. Pairs are of grey and coloured images.

    kind: of the modelled fields, one of `model.kinds`; by default images, for a model that can model them.
    """

    def __init__(
        self,
        model: type[GenerativeModel],
        train: int = 96,
        validation: int = 32,
        size: int = 16,
        kind: str | None = None,
    ):
        self.kind = kind or ("image" if "image" in model.kinds else sorted(model.kinds)[0])
        self.spec = DataSpec(_fields(self.kind, model, size), "pairs" in model.requires, num_examples=train)
        unknown = model.requires - self.spec.provides
        assert not unknown, f"the laboratory has no data for {unknown}: teach RandomExamples to make it"
        self.sizes = {"train": train, "validation": validation}

    def open(self, split: str) -> list[Examples]:
        generator = torch.Generator().manual_seed(len(split))
        rows = {name: _rows(field, self.sizes[split], generator) for name, field in self.spec.fields.items()}
        if self.spec.domains == ("x",) or self.spec.paired:
            return [ArrayExamples(**rows)]
        return [ArrayExamples(**{name: table}) for name, table in rows.items()]


def _fields(kind: str, model: type[GenerativeModel], size: int) -> dict[str, Field]:
    if "x" in model.requires:
        return {"x": _modelled(kind, 1, size), "label": Field("label", size=3)}
    return {"a": _modelled(kind, 1 if "pairs" in model.requires else 3, size), "b": _modelled(kind, 3, size)}


def _modelled(kind: str, channels: int, size: int) -> Field:
    if kind == "points":
        return Field("points", (len(CENTRE),), centre=CENTRE, scale=SCALE)
    assert kind == "image", f"the laboratory has no data of kind {kind}: teach RandomExamples to make it"
    return Field("image", (channels, size, size))


def _rows(field: Field, count: int, generator: torch.Generator) -> Tensor:
    if field.kind == "label":
        return torch.randint(field.size, (count,), generator=generator)
    if field.kind == "image":
        return torch.randint(0, 256, (count, *field.shape), dtype=torch.uint8, generator=generator)
    normal = torch.randn(count, *field.shape, generator=generator, dtype=torch.float32)
    return torch.tensor(field.centre).float() + torch.tensor(field.scale).float() * normal
