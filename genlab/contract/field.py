"""One field of the data: images, points, labels, factors."""

import re
from dataclasses import asdict, dataclass, fields
from math import isfinite, prod
from typing import Any

LARGEST_IMAGE = 2**26
"""Maximum number of values in an example: a batch of a few such images fills any machine's memory."""

MOST_CLASSES = 1_000_000

LONGEST_NAME = 255

_MOST_AXES = 5
_COLOUR = re.compile(r"[0-9a-f]{6}")


@dataclass(frozen=True)
class Spectrogram:
    """How sound became an image [1, bins, frames] in [0, 1]: the level of each frequency over time.

    rate: samples a second. window: samples of a frame (Hann), padded with zeros to twice as many. hop: samples from
    frame to frame. mels: bins on the mel scale, which ears hear as even; 0 for the window's own frequencies. floor:
    the level in dB that value 0 stands for; value 1 is 0 dB, a full-scale tone. Bins on the mel scale are means of
    several frequencies, in which a tone has less.
    """

    def __str__(self) -> str:
        """For example "rate 8000, window 256, hop 64, mels 64, floor -80"."""
        return ", ".join(f"{name} {value}" for name, value in asdict(self).items())

    rate: int = 8000
    window: int = 256
    hop: int = 64
    mels: int = 64
    floor: int = -80

    def __post_init__(self):
        sizes = {"rate": self.rate, "window": self.window, "hop": self.hop}
        for key, value in sizes.items():
            if not 1 <= value <= 2**20:
                raise ValueError(f"dataset.{key}={value}: must be at least 1 and at most {2**20}")
        if not self.hop <= self.window // 2:
            raise ValueError(f"dataset.hop={self.hop}: must be at most half of dataset.window={self.window}")
        if not 0 <= self.mels <= self.window:
            raise ValueError(f"dataset.mels={self.mels}: must be 0 to dataset.window={self.window}")
        if not -200 <= self.floor < 0:
            raise ValueError(f"dataset.floor={self.floor}: must be -200 to -1")


@dataclass(frozen=True)
class Field:
    """One field of a batch, without the batch dimension.

    kind: what the values are, a key of `genlab.media.kinds.KINDS`: image, points, label, factors.
    shape: (C, H, W) of images in [0, 1], (D,) of points and factors, () of labels.
    size: number of classes of a label, 0 for other kinds.
    names: of the classes, or of the entries of factors, where the data knows them.
    levels: number of values that an entry of a quantised kind has, evenly spaced; 0 for the kind's own number.
    centre, scale: mean and std of each entry of points, by which models standardize them; empty for fixed ranges.
    palette: colours of the classes of a label map, "rrggbb" in hexadecimal; empty for other images.
    spectrogram: of images that are sound; None for others.
    """

    kind: str
    shape: tuple[int, ...] = ()
    size: int = 0
    names: tuple[str, ...] = ()
    levels: int = 0
    centre: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    palette: tuple[str, ...] = ()
    spectrogram: Spectrogram | None = None

    def __post_init__(self):
        if self.shape and (min(self.shape) < 1 or prod(self.shape) > LARGEST_IMAGE):
            raise ValueError(
                f"dataset: {self.kind} of {'x'.join(map(str, self.shape))}: each must hold 1 to {LARGEST_IMAGE} "
                "numbers; give another size, as in dataset.size=64"
            )
        for key in ("centre", "scale"):
            object.__setattr__(self, key, tuple(map(float, getattr(self, key))))
        if not 0 <= self.size <= MOST_CLASSES or not 0 <= self.levels <= MOST_CLASSES or len(self.shape) > _MOST_AXES:
            raise ValueError(f"{self.kind}: size and shape are out of range")
        matching = all(not values or (len(values),) == self.shape for values in (self.centre, self.scale))
        if not matching or not all(map(isfinite, self.centre + self.scale)) or min(self.scale, default=1.0) <= 0:
            raise ValueError(f"{self.kind}: centre and scale must hold a finite number for each entry, scale above 0")
        if any(len(name) > LONGEST_NAME for name in (self.kind, *self.names)):
            raise ValueError(f"{self.kind[:LONGEST_NAME]}: names may have {LONGEST_NAME} letters at most")
        if self.palette and (self.shape[:1] != (3,) or not all(map(_COLOUR.fullmatch, self.palette))):
            raise ValueError(f"{self.kind}: a palette is of colour images, and holds colours as in 0000aa")
        if self.names and len(self.names) not in (self.size, *self.shape[:1]):
            raise ValueError(f"{self.kind}: has {len(self.names)} names, not one for each class or entry")

    def __str__(self) -> str:
        kind = "spectrogram" if self.spectrogram else self.kind
        return f"{kind} of {'x'.join(map(str, self.shape))}" if self.shape else f"{kind} of {self.size}"


def read_field(where: str, values: Any) -> Field:
    """A field from JSON values; `ValueError` if they are not those of one."""
    wanted = {"kind": str, "shape": int, "size": int, "names": str, "levels": int, "centre": float, "scale": float}
    wanted["palette"] = str
    sound = None
    if isinstance(values, dict):
        values = {"palette": [], **values}
        sound = values.pop("spectrogram", None)
    if not isinstance(values, dict) or set(values) != set(wanted):
        raise ValueError(f"{where}: must hold {', '.join(wanted)}, and nothing else")
    for key, type_ in wanted.items():
        entries = [values[key]] if key in ("kind", "size", "levels") else values[key]
        if not isinstance(entries, list) or len(entries) > MOST_CLASSES or any(type(e) is not type_ for e in entries):
            raise ValueError(f"{where}.{key}={str(values[key])[:100]}: is not valid")
    found: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    try:
        return Field(**found, spectrogram=_read_spectrogram(sound))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _read_spectrogram(values: Any) -> Spectrogram | None:
    if values is None:
        return None
    names = {entry.name for entry in fields(Spectrogram)}
    if not isinstance(values, dict) or set(values) != names or any(type(value) is not int for value in values.values()):
        raise ValueError(f"spectrogram: must hold the whole numbers {', '.join(sorted(names))}")
    return Spectrogram(**values)
