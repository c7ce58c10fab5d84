"""What a dataset hands to a model: `DataSpec` describes the dataset, `Batch` is one draw from it."""

import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor

from genlab.contract.field import LONGEST_NAME, Field, read_field
from genlab.system.seeding import mix

ImageShape = tuple[int, ...]
"""(channels, height, width)."""

Condition = dict[str, Tensor]
"""Values of the fields that a model is conditioned on, by name, one row per example."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")


@dataclass(frozen=True)
class DataSpec:
    """What a dataset provides, known before any data is read; networks derive their shapes from it.

    fields: by name. "x" is what is modelled; "a" and "b" are the two sides of a translation; "label" and "factors"
        describe x. A table may also hold `a_as_b`, the true counterpart of a in the domain of b.
    paired: whether rows of a and b belong together; they are then shuffled and augmented as one.
    num_examples: number of training examples.
    """

    fields: dict[str, Field]
    paired: bool = False
    num_examples: int = 0

    def __post_init__(self):
        _check_names(self.fields)

    def __getitem__(self, name: str) -> Field:
        """The field `name`; the field `a_as_b` is one of the domain of b."""
        return self.fields[name if name in self.fields else name.rpartition("_as_")[2]]

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def __str__(self) -> str:
        """For example "x image of 1x28x28, label of 10"."""
        words = (str(field) if name == field.kind else f"{name} {field}" for name, field in self.fields.items())
        return ", ".join(words) + (", in pairs" if self.paired else "")

    @property
    def provides(self) -> frozenset[str]:
        """What a model may require: names of fields, and "pairs" if rows of a and b belong together."""
        return frozenset(self.fields) | ({"pairs"} if self.paired else set())

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the modelled fields: ("x",), or ("a", "b") of a translation."""
        return tuple(name for name in ("x", "a", "b") if name in self.fields)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the first modelled field."""
        return self.fields[self.domains[0]].shape

    @property
    def num_classes(self) -> int:
        """Number of classes of the labels, 0 without labels."""
        return self.fields["label"].size if "label" in self.fields else 0

    def to_dict(self) -> dict:
        """As plain values of JSON."""
        values = json.loads(json.dumps(asdict(self)))
        for entry in values["fields"].values():
            for rare in ("palette", "spectrogram"):
                if not entry[rare]:
                    del entry[rare]
        return values

    @classmethod
    def from_dict(cls, values: Any) -> "DataSpec":
        """The inverse of `to_dict`. `ValueError` for anything else: checkpoints may come from an untrusted source."""
        if not isinstance(values, dict) or set(values) != {entry.name for entry in fields(cls)}:
            raise ValueError("data: must hold fields, paired and num_examples, and nothing else")
        found = values["fields"]
        if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
            raise ValueError("data.fields: must be fields by name")
        _check_names(found)
        if type(values["paired"]) is not bool or type(values["num_examples"]) is not int or values["num_examples"] < 0:
            raise ValueError("data.paired, data.num_examples: must be true or false, and a whole number of at least 0")
        read = {name: read_field(f"data.fields.{name}", entry) for name, entry in found.items()}
        return cls(read, values["paired"], values["num_examples"])


def _check_names(names: Collection[str]) -> None:
    if wrong := next((name for name in names if not _NAME.fullmatch(name)), None):
        raise ValueError(f"data.fields: {wrong[:LONGEST_NAME]!r} is no name of a field: small letters, digits and _")
    if not {"x", "a"} & set(names) or ("a" in names) != ("b" in names):
        raise ValueError(f"data.fields={sorted(names)}: must hold x, or a and b")


def select(condition: Condition | None, index: Tensor | slice) -> Condition | None:
    """The rows `index` of a condition; None if it is None."""
    return condition and {name: value[index] for name, value in condition.items()}


def image_spec(
    shape: ImageShape, num_classes: int = 0, class_names: Sequence[str] = (), num_examples: int = 0
) -> DataSpec:
    """The spec of images [N, C, H, W], with labels if `num_classes` is not 0."""
    label = {"label": Field("label", size=num_classes, names=tuple(class_names))} if num_classes else {}
    return DataSpec({"x": Field("image", shape), **label}, num_examples=num_examples)


class Batch:
    """The fields of one batch by name, and random noise for its rows.

    `x`, or `a` and `b`, is what is modelled: images are float [N, C, H, W] in [0, 1], points float [N, D] in the data's
    units. `label` is int64 [N]; other fields are those of `DataSpec.fields`. If the model holds `example_weights`,
    `index` int64 [N] gives the rows' places among the training examples. A batch can be a slice of a larger one: row i
    of a slice is row `offset + i` of `total`. `randn`, `rand` and `randint` draw for the full batch and keep the
    slice's rows, so that four micro-batches or two processes get the same noise as one large batch.

    fields: tensors by name. seed: of the noise. size: number of rows. draws: noise tensors drawn so far, which is part
    of the seed of the next one.
    """

    def __init__(self, fields: dict[str, Tensor], seed: int, offset: int = 0, total: int | None = None):
        self.fields = fields
        self.seed = seed
        self.size = len(next(iter(fields.values())))
        self.offset = offset
        self.total = self.size if total is None else total
        self.draws = 0

    def __getitem__(self, name: str) -> Tensor:
        return self.fields[name]

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    @property
    def first(self) -> Tensor:
        """The first modelled field: `x`, or `a` of two domains."""
        return self.fields["x" if "x" in self.fields else "a"]

    @property
    def device(self) -> torch.device:
        return next(iter(self.fields.values())).device

    def condition(self, names: Sequence[str]) -> Condition:
        """The fields `names`, as the condition of a model."""
        return {name: self.fields[name] for name in names}

    def split(self, parts: int) -> Iterator["Batch"]:
        """Cut into `parts` equal consecutive slices; `parts` divides the size."""
        size = self.size // parts
        for start in range(0, self.size, size):
            rows = {name: value[start : start + size] for name, value in self.fields.items()}
            part = Batch(rows, self.seed, self.offset + start, self.total)
            part.draws = self.draws  # draws made before the split (augmentation) are not repeated
            yield part

    def head(self, rows: int) -> "Batch":
        """A batch of the first `rows` rows, or all if there are fewer, with noise of its own."""
        return Batch({name: value[:rows] for name, value in self.fields.items()}, self.seed)

    def randn(self, *shape: int) -> Tensor:
        """Standard normal noise [N, *shape] in the dtype of the batch's floating-point fields."""
        return self._draw(torch.randn, shape, dtype=self._dtype)

    def rand(self, *shape: int) -> Tensor:
        """Uniform noise in [0, 1), [N, *shape] in the dtype of the batch's floating-point fields."""
        return self._draw(torch.rand, shape, dtype=self._dtype)

    def randint(self, high: int) -> Tensor:
        """Uniform int64 [N] in [0, high)."""
        return self._draw(lambda size, **options: torch.randint(high, size, **options), ())

    def _draw(self, sampler: Callable[..., Tensor], shape: tuple[int, ...], **options: Any) -> Tensor:
        generator = torch.Generator(self.device).manual_seed(mix(self.seed, self.draws))
        self.draws += 1
        whole = sampler((self.total, *shape), generator=generator, device=self.device, **options)
        return whole[self.offset : self.offset + self.size]

    @property
    def _dtype(self) -> torch.dtype:
        floating = (value.dtype for value in self.fields.values() if value.is_floating_point())
        return next(floating, torch.get_default_dtype())
