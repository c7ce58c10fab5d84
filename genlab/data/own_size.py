"""The size of images in folders where the user gives none: their own, as far as it can be trained on."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from genlab.data.decoding import size_of

SMALLEST, LARGEST = 8, 128
"""Sides in pixels that are kept: networks take no smaller ones, and larger ones take hours on a CPU."""

_READ = 1000
"""Headers that are read. If another file differs, it is scaled and cropped like any file."""

_SHOWN = 3


class Size(NamedTuple):
    """value: the setting `dataset.size`. settled: the same by name, if it is the images' own. notes: a line on it, if
    they have others."""

    value: int | list[int]
    settled: Mapping[str, Any] = {}
    notes: tuple[str, ...] = ()


def size_for(size: int | list[int] | None, paths: Sequence[str], otherwise: int, halves: bool = False) -> Size:
    """`size`; if it is None, that of the images in files `paths`, if they agree in it, else `otherwise`.

    halves: whether each file holds two images side by side.
    """
    if size is not None:
        return Size(size)
    found = Counter(filter(None, map(size_of, paths[:: -(-len(paths) // _READ)])))
    sides = [([height, width // (1 + halves)], count) for (height, width), count in found.most_common()]
    if not sides:  # files that cannot be read are told when they are decoded
        return Size(otherwise)
    own: int | list[int] = sides[0][0][0] if len(set(sides[0][0])) == 1 else sides[0][0]
    if len(sides) == 1 and min(sides[0][0]) >= SMALLEST and max(sides[0][0]) <= LARGEST:
        return Size(own, {"size": own})
    listed = ", ".join(f"{height}x{width}" for (height, width), _ in sides[:_SHOWN])
    many = f" and {len(sides) - _SHOWN} other sizes" if len(sides) > _SHOWN else ""
    keep = f"dataset.size={own} keeps them" if len(sides) == 1 else "dataset.size=96 would make them 96x96"
    note = f"dataset.size: the images, of {listed}{many}, become {otherwise}x{otherwise}; "
    return Size(otherwise, notes=(note + keep.replace(", ", ","),))
