"""What a kind of data must know: its range, how it is stored, shown, written, and read from a command line."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from genlab.contract.data import Field
from genlab.contract.model import Grid
from genlab.media.images import Png
from genlab.media.metadata import Origin

_LARGEST = torch.finfo(torch.float32).max


@dataclass(frozen=True)
class Scene:
    """What examples can be shown against; each entry is optional, and a kind uses those that it can draw.

    real: examples of the data, [N, *shape]. log_density: the data's exact log p(x), [N, *shape] to [N]. score: the
    model's discriminator logit, [N, *shape] to [N]. Both functions take float tensors on the CPU. boundary: of the
    score, between "real" and "generated"; None for a critic, of which only differences have a meaning. shown: what the
    examples themselves are.
    """

    real: Tensor | None = None
    log_density: Callable[[Tensor], Tensor] | None = None
    score: Callable[[Tensor], Tensor] | None = None
    shown: str = "generated"
    boundary: float | None = 0.0


def parse_numbers(field: Field, value: Any) -> Tensor:
    """The entries [D] of a field of real numbers, from a list of D numbers; a single number if D is 1."""
    numbers = value if isinstance(value, list) else [value]
    sound = all(type(number) in (int, float) and abs(number) <= _LARGEST for number in numbers)
    if len(numbers) != field.shape[0] or not sound:
        raise ValueError(f"must be a list of {field.shape[0]} numbers")
    return torch.tensor(numbers, dtype=torch.get_default_dtype())


class Kind:
    """Base of all kinds: values that describe others, such as labels, need no more than `features` and `parse`.

    plural: name of several examples, in messages and of their array in result files.
    bounds: smallest and largest value; None if any finite number is valid.
    levels: number of values that a stored entry can have; 0 if it is a real number.
    axes: number of axes of an example.
    extractors: names of the feature extractors that read it, by which metrics compare examples.
    """

    plural: ClassVar[str] = "values"
    bounds: ClassVar[tuple[float, float] | None] = None
    levels: ClassVar[int] = 0
    axes: ClassVar[int] = 1
    extractors: ClassVar[tuple[str, ...]] = ()

    def floats(self, stored: Tensor, dtype: torch.dtype, layout: torch.memory_format) -> Tensor:
        """Rows as a model takes them, from rows as a table stores them."""
        return stored.to(dtype) if stored.is_floating_point() else stored

    def features(self, field: Field, values: Tensor) -> Tensor:
        """Values [N, *shape] as features [N, D] that condition a network."""
        return values.flatten(1)

    def num_features(self, field: Field) -> int:
        """The D of `features`."""
        return prod(field.shape)

    def parse(self, field: Field, value: Any) -> Tensor:
        """One example [*shape] from a value on the command line. `ValueError` if it is not one."""
        raise ValueError("cannot be given on the command line")


class Shown(Kind):
    """Base of the kinds that can be modelled: they are shown and written.

    has_scene: whether pictures show examples against a `Scene`. previewed: number of examples in a preview. suffix: of
    files that hold one example; empty if there are none.
    """

    has_scene: ClassVar[bool] = False
    suffix: ClassVar[str] = ""
    previewed: ClassVar[int] = 64

    def array(self, x: Tensor) -> np.ndarray:
        """Examples [N, *shape] as an array for a result file."""
        raise NotImplementedError

    def picture(
        self,
        shown: Tensor | Grid,
        origin: Origin | None = None,
        scene: Scene | None = None,
        connected: bool = False,
    ) -> Png:
        """Examples [rows, columns, *shape] as one PNG, with the names of a `Grid` as far as the kind can show them.
        origin: its metadata. connected: each row is a path."""
        raise NotImplementedError

    def heard(self, shown: Tensor | Grid) -> dict[str, bytes]:
        """WAV files by name of a few of the examples [rows, columns, *shape], of kinds that are sound."""
        return {}

    def arranged(self, x: Tensor, columns: int | None = None) -> Tensor:
        """Examples [N, *shape] in rows [rows, columns, *shape]; None for about as many columns as rows."""
        raise NotImplementedError

    def upright(self, x: Tensor) -> Tensor:
        """Examples [..., *shape] as they are shown."""
        return x

    def beside(self, x: Tensor, y: Tensor) -> Grid:
        """Originals `x` and their reconstructions `y`, [N, *shape] each, side by side for comparison."""
        raise NotImplementedError

    def thumbnails(self, x: Tensor) -> Tensor | None:
        """Examples as square images [N, C, S, S] of at most 64 pixels; None if they have no such form."""
        return None

    def save_animation(self, rows: Tensor, path: Path, origin: Origin | None = None) -> None:
        """Write rows [rows, steps, *shape] as a GIF that shows all rows, step by step."""
        raise NotImplementedError

    def save_each(self, x: Tensor, paths: Sequence[Path], origin: Origin | None = None) -> None:
        """Write each example to a file of its own. `ValueError` if the kind has no such files."""
        raise NotImplementedError

    def save_stored(self, stored: np.ndarray, path: Path, origin: Origin | None = None) -> None:
        """Write one example, an entry of `array`, to a file of its own."""
        raise NotImplementedError

    def check_augmentation(self, flip: bool, shift: int) -> None:
        """`ValueError` if examples cannot be flipped or shifted, but `loader.flip` or `loader.shift` asks for it."""

    def augment(self, x: Tensor, flipped: Tensor | None, shifts: tuple[Tensor, Tensor] | None) -> Tensor:
        """Flip the examples [N, *shape] where `flipped` [N], and shift them by `shifts` (down, right), [N] each."""
        raise NotImplementedError
