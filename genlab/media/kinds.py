"""The kinds of data. Nothing outside `media` asks which kind something is: it asks the kind."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from genlab.contract.data import DataSpec, Field
from genlab.media.image_kind import Image
from genlab.media.kind import Kind, Shown, parse_numbers
from genlab.media.points import Points
from genlab.media.sound import Sound
from genlab.system.text import NUMBER, closest, printable, shortened

MOST_COLUMNS = 50
"""Maximum number of classes that a grid shows as a column each."""

_SHOWN_CLASSES = 20
_LONGEST_LIST = 200  # letters


class Label(Kind):
    """Class labels, int64: a number, or the class's name."""

    plural = "labels"
    axes = 0

    def features(self, field: Field, values: Tensor) -> Tensor:
        """One-hot, [N, size]."""
        return one_hot(values, field.size).to(torch.get_default_dtype())

    def num_features(self, field: Field) -> int:
        return field.size

    def parse(self, field: Field, value: Any) -> Tensor:
        """A name comes before a number: where folders 1, 2 and 10 are the classes, 2 is the folder."""
        exact = [place for place, name in enumerate(field.names) if name == str(value)]
        named = exact or [place for place, name in enumerate(field.names) if _is_name(name, value)]
        if len(named) == 1:
            return torch.tensor(named[0])
        if type(value) is int and 0 <= value < field.size and not _is_numeric(field.names):
            return torch.tensor(value)
        known = numbered(field) or f"0 to {field.size - 1}"
        if _is_numeric(field.names):
            known = f"called {shortened(', '.join(field.names), _LONGEST_LIST)}"
        hint = closest(value, field.names) if isinstance(value, str) else ""
        raise ValueError(f"this run knows the classes {known}{hint and '; '}{hint}")


class Factors(Kind):
    """Ground-truth factors [D], real numbers."""

    plural = "factors"

    def parse(self, field: Field, value: Any) -> Tensor:
        return parse_numbers(field, value)


KINDS: dict[str, Kind] = {"image": Image(), "points": Points(), "label": Label(), "factors": Factors()}
"""By the name that `Field.kind` takes."""


def levels_of(field: Field) -> int:
    """Number of values that an entry of a field can have; 0 if it is a real number."""
    return field.levels or kind_of(field).levels


def kind_of(field: Field) -> Kind:
    """The kind of a field. `ValueError` if this version does not know it, or the field has not its number of axes."""
    if field.kind not in KINDS:
        raise ValueError(f"kind={field.kind[:100]}: this version knows {', '.join(KINDS)}")
    kind = KINDS[field.kind]
    if len(field.shape) != kind.axes:
        raise ValueError(f"{field.kind} of shape {list(field.shape)}: must have {kind.axes} axes")
    return Sound(field.spectrogram) if field.spectrogram else kind


def shown_kind(data: DataSpec, name: str | None = None) -> Shown:
    """The kind of the field `name`, by default of the first modelled one."""
    kind = kind_of(data[name or data.domains[0]])
    if not isinstance(kind, Shown):
        raise ValueError(f"{kind.plural} cannot be modelled")
    return kind


def numbered(field: Field) -> str:
    """The classes of a label with their names, as in "0=cats, 1=dogs"; empty where they are numbers alone."""
    if all(name == str(number) for number, name in enumerate(field.names)):
        return ""
    more = f" and {field.size - _SHOWN_CLASSES} more" if field.size > _SHOWN_CLASSES else ""
    shown = (f"{number}={name}" for number, name in enumerate(field.names[:_SHOWN_CLASSES]))
    return printable(", ".join(shown) + more)


def class_name(field: Field, number: int) -> str:
    """What a class is called: its name, or its number."""
    return printable(field.names[number]) if field.names else str(number)


def captions_of(data: DataSpec, condition: Mapping[str, Tensor]) -> list[str]:
    """The classes by name that the rows of a condition ask for; none where they have no names but numbers."""
    field = data.fields.get("label")
    if field is None or not numbered(field) or "label" not in condition:
        return []
    return [class_name(field, number) for number in condition["label"].flatten().tolist()]


def _is_name(name: str, value: Any) -> bool:
    """Whether a value of the command line, where true and 007 are no texts, is the name of a class."""
    if isinstance(value, bool):
        return name.lower() == str(value).lower()
    if isinstance(value, (int, float)):
        return _number(name) == value
    return name == value


def _is_numeric(names: Sequence[str]) -> bool:
    return bool(names) and all(map(NUMBER.fullmatch, names))


def _number(name: str) -> float | None:
    return float(name) if NUMBER.fullmatch(name) else None
