"""What a script passes to a `Run`: tensors, arrays of numpy, or lists of these or of numbers."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from genlab.contract.data import Field
from genlab.media.kinds import kind_of

Array: TypeAlias = Tensor | np.ndarray | Sequence

_FAR = 0.5
"""How far beyond their bounds values may be: noise may lead there, another scale leads farther."""


def floats(values: Array, what: str = "latents") -> Tensor:
    """Numbers as 32-bit floats. `ValueError` unless they are a tensor or an array of numbers; what: they are."""
    return _tensor(values, what).float()


def examples_of(values: Array, field: Field) -> Tensor:
    """Examples [N, *shape] of a field as 32-bit floats.

    Images are floats [N, C, H, W] in [0, 1], or uint8 from 0 to 255: [N, H, W, C] or [N, C, H, W], and [N, H, W] if
    they are grey. Of uint8 the shape tells which: only images of 3x3 pixels fit both. `ValueError` for anything else.
    """
    kind, x = kind_of(field), _tensor(values, "examples")
    stored = x.dtype == torch.uint8 and kind.levels == 256
    if stored and x.shape[1:] != field.shape:
        x = _channels_first(x, field.shape)
    whole = not stored and kind.levels and not x.is_floating_point()
    if whole or x.shape[1:] != field.shape:
        wanted = f"{'floats or uint8' if kind.levels else 'numbers'} [{', '.join(map(str, ('N', *field.shape)))}]"
        raise ValueError(
            f"examples: {str(x.dtype).removeprefix('torch.')} {list(x.shape)}: this run takes {wanted}; "
            f"{_way_out(x, field)}"
        )
    if stored:
        if x.numel() and x.max() == 1:
            raise ValueError("examples: hold only 0 and 1: pixels are 0 to 255 as uint8; give 255 * x, or floats")
        return kind.floats(x, torch.float32, torch.contiguous_format)
    x = x.float()
    if kind.bounds and x.numel():
        low, high = (value.item() for value in x.aminmax())
        if not (kind.bounds[0] - _FAR <= low and high <= kind.bounds[1] + _FAR):  # also of NaN
            scale = "(x + 1) / 2" if low >= -1 and high <= 1 else f"x / {high:g}" if low >= 0 else "numpy.clip(x, 0, 1)"
            raise ValueError(
                f"examples: hold values from {low:g} to {high:g}: this run takes {kind.plural} in 0 to 1; give {scale}"
            )
    return x


def _tensor(values: Array, what: str) -> Tensor:
    if isinstance(values, (list, tuple)):
        try:
            values = np.array([np.asarray(value) for value in values])
        except ValueError as error:
            raise ValueError(f"{what}: a list must hold entries of one shape") from error
    if isinstance(values, np.ndarray) and values.dtype.kind in "iuf":
        # A copy in the machine's byte order: torch takes no other order, no negative strides and, with a warning,
        # nothing that is read-only.
        return torch.from_numpy(np.array(values, values.dtype.newbyteorder("="), order="C"))
    if isinstance(values, Tensor) and not values.is_complex() and values.dtype != torch.bool:
        return values
    given = getattr(values, "dtype", type(values).__name__)
    raise ValueError(f"{what}: {given}: this run takes a tensor, an array or a list of numbers")


def _channels_first(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Images [N, H, W, C] or, of one channel, [N, H, W] as [N, C, H, W]; others as they are."""
    if x.shape[1:] == (*shape[1:], shape[0]):
        return x.movedim(-1, 1)
    return x[:, None] if x.shape[1:] == shape[1:] and shape[0] == 1 else x


def _way_out(x: Tensor, field: Field) -> str:
    """How examples that do not fit can be made to."""
    if _channels_first(x[None], field.shape).shape[1:] == field.shape:
        return "give one example as x[None]"
    if x.shape[1:] == field.shape:
        return "give pixels from 0 to 255 as uint8"
    if len(field.shape) == 3 and (first := _channels_first(x, field.shape)) is not x:
        return f"give {'x[:, None]' if first.ndim > x.ndim else 'numpy.moveaxis(x, -1, 1)'}"
    return "resize or reshape them" if len(field.shape) == 3 else "one row for each example"
