"""The kinds of data. Nothing outside `media` asks which kind something is: it asks the kind."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, one_hot, pad

from genlab.contract.data import DataSpec, Field
from genlab.contract.model import Grid
from genlab.media.grids import frames, in_blocks, to_png, wrap
from genlab.media.images import Png, save_gif, save_image, to_uint8
from genlab.media.kind import Kind, Scene, Shown, parse_numbers
from genlab.media.metadata import Origin
from genlab.media.points import Points
from genlab.system.text import NUMBER, closest, printable, shortened

MOST_COLUMNS = 50
"""Maximum number of classes that a grid shows as a column each."""

_SHOWN_CLASSES = 20
_LONGEST_LIST = 200  # letters


class Image(Shown):
    """Images [C, H, W]: stored as uint8, modelled in [0, 1], shown as grids, written as PNG."""

    plural: ClassVar[str] = "images"
    bounds = (0.0, 1.0)
    levels = 256
    extractors = ("classifier", "random-conv", "pixels", "inception")
    axes = 3

    def floats(self, stored: Tensor, dtype: torch.dtype, layout: torch.memory_format) -> Tensor:
        return stored.to(dtype, memory_format=layout).mul_(1 / 255)

    def array(self, x: Tensor) -> np.ndarray:
        return to_uint8(x)

    def picture(
        self,
        shown: Tensor | Grid,
        origin: Origin | None = None,
        scene: Scene | None = None,
        connected: bool = False,
    ) -> Png:
        return to_png(shown, origin)

    def arranged(self, x: Tensor, columns: int | None = None) -> Tensor:
        """Empty cells are grey."""
        return wrap(x, columns)

    def beside(self, x: Tensor, y: Tensor) -> Grid:
        """Rows of x, each above the row of their counterparts in y."""
        return Grid(in_blocks(x, y), rows=("original", "reconstruction"))

    def thumbnails(self, x: Tensor) -> Tensor | None:
        """Padded with black, and averaged to at most 64 pixels per side."""
        height, width = x.shape[-2:]
        side = max(height, width)
        return adaptive_avg_pool2d(pad(x, (0, side - width, 0, side - height)), min(side, 64))

    def save_animation(self, rows: Tensor, path: Path, origin: Origin | None = None) -> None:
        save_gif(frames(rows), path, origin)

    def save_each(self, x: Tensor, paths: Sequence[Path], origin: Origin | None = None) -> None:
        for pixels, path in zip(to_uint8(x), paths, strict=True):
            save_image(pixels, path, origin)

    def augment(self, x: Tensor, flipped: Tensor | None, shifts: tuple[Tensor, Tensor] | None) -> Tensor:
        """Flipped horizontally; shifted by whole pixels, with edge padding."""
        if flipped is not None:
            x = torch.where(flipped[:, None, None, None], x.flip(-1), x)
        return x if shifts is None else _shifted(x, *shifts)


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
    return kind


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


def _shifted(x: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Shift each image of x [N, C, H, W] by its own `down` and `right` [N] pixels."""
    _, channels, height, width = x.shape
    rows = (torch.arange(height, device=x.device) - down[:, None]).clamp(0, height - 1)
    columns = (torch.arange(width, device=x.device) - right[:, None]).clamp(0, width - 1)
    places = (rows[:, :, None] * width + columns[:, None, :]).flatten(1)
    return x.flatten(2).gather(2, places[:, None].expand(-1, channels, -1)).view_as(x)
