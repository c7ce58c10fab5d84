"""Decode image files of any size and mode to uint8 [C, H, W]: the one conversion, for training and for use.

Pixels count, and metadata are hints: broken EXIF, colour profiles or comments make no image unreadable.
"""

import ctypes
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import IO, Literal

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError, _imaging
from PIL.Image import Transpose
from torch import Tensor

from genlab.contract.data import ImageShape
from genlab.data.stripping import without_metadata

Half = Literal["left", "right"]

MODES = {1: "L", 3: "RGB"}

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "QOI", "ICO")
"""Formats that are decoded, whatever the file is called: for others PIL may start external programs."""

UNSIGNED = {".tga": "TGA", ".pcx": "PCX", ".dib": "DIB"}
"""Formats by the ending of files, which alone tells: anything may begin like them."""

SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".jfif",
    ".jpe", ".jif", ".jfi", ".mpo", ".apng", ".dib", ".jp2", ".j2k", ".jpx", ".jpf", ".tga", ".qoi", ".ico", ".pcx",
)  # fmt: skip
"""Endings of files in these formats, in small letters or capitals."""

MOST_PIXELS = 2**25
"""Maximum pixels of a decoded file, 0.1 GiB in colour: a file of a few bytes may claim any size."""

_LARGEST_FILE = 2**28
"""Bytes of a file that is read once more, without its metadata."""

_ORIENTATION = 0x0112  # EXIF's
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
_SIDEWAYS = (Transpose.TRANSPOSE, Transpose.ROTATE_270, Transpose.TRANSVERSE, Transpose.ROTATE_90)


class UnreadableError(ValueError):
    """The file `path` holds no image, or other `what`, that can be decoded, for this `reason`."""

    def __init__(self, path: str, error: Exception, what: str = "an image"):
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        self.path, self.reason = path, " ".join(text.split())[:200]
        super().__init__(f"{path} cannot be read as {what} ({self.reason})")


def decode(
    path: str, shape: ImageShape, crop: int | None = None, half: Half | None = None, mixing: bool = True
) -> Tensor:
    """Read an image of any size and mode as uint8 `shape` (channels, height, width). `UnreadableError` if it is none.

    It is rotated by its EXIF orientation, scaled to cover `shape` and centre-cropped; transparent pixels become white.
    crop: side in pixels of a central square to take from the file, instead of the largest area that fits.
    half: of a file that holds two images of equal width side by side, the one to read.
    mixing: whether pixels are means of those of the file; False takes the nearest, whose colours are the file's own.
    """
    prepare_pillow()
    try:
        if not os.path.isfile(path):
            raise ValueError("it is a broken link" if os.path.islink(path) else "it is no file")
        if not os.path.getsize(path):
            raise ValueError("it is empty")
        with open(path, "rb") as file:
            return _decode(file, _formats_of(path), shape, crop, half, mixing)
    except Exception as error:  # decoders raise many types on damaged files: OSError, SyntaxError, struct.error
        first = error
    for content in _stripped(path):
        with suppress(Exception):
            return _decode(BytesIO(content), FORMATS, shape, crop, half, mixing)
    raise UnreadableError(path, first) from first


def size_of(path: str) -> tuple[int, int] | None:
    """(height, width) of an upright image, from its header alone; None if it cannot be read."""
    prepare_pillow()
    with suppress(Exception):  # as many types as those of damaged files
        if os.path.isfile(path):  # a pipe would be waited for
            with Image.open(path, formats=_formats_of(path)) as image:
                turned = _turn(image) in _SIDEWAYS
                return (image.width, image.height) if turned else (image.height, image.width)
    return None


def _formats_of(path: str) -> tuple[str, ...]:
    ending = os.path.splitext(path)[1].lower()
    return (UNSIGNED[ending],) if ending in UNSIGNED else FORMATS


def _stripped(path: str) -> Iterator[bytes]:
    """The content of a file without its metadata, if it has any."""
    with suppress(OSError):
        if os.path.isfile(path) and os.path.getsize(path) <= _LARGEST_FILE:
            yield from without_metadata(Path(path).read_bytes())


def _decode(
    file: IO[bytes], formats: tuple[str, ...], shape: ImageShape, crop: int | None, half: Half | None, mixing: bool
) -> Tensor:
    channels, height, width = shape
    try:
        opened = Image.open(file, formats=formats)
    except UnidentifiedImageError as error:  # its own text names an object in memory
        raise ValueError("it holds no image in a format that GenLab reads") from error
    with opened:
        if crop is None and mixing:
            # JPEG can decode at 1/2, 1/4 or 1/8 size; twice the target size leaves enough detail for the filter.
            opened.draft(MODES[channels], ((4 if half else 2) * max(height, width),) * 2)
        if opened.width * opened.height > MOST_PIXELS:
            raise ValueError(f"it has {opened.width}x{opened.height} pixels, at most {MOST_PIXELS} are decoded")
        opened.load()
        image = convert(_upright(opened), MODES[channels])
        if half is not None:
            image = _half_of(image, half)
        if crop is not None:
            left, top = (image.width - crop) / 2, (image.height - crop) / 2
            image = image.crop((round(left), round(top), round(left) + crop, round(top) + crop))
        how = Image.Resampling.BICUBIC if mixing else Image.Resampling.NEAREST
        pixels = np.array(ImageOps.fit(image, (width, height), how))
    return torch.from_numpy(pixels).view(height, width, channels).permute(2, 0, 1)


@cache
def prepare_pillow() -> None:
    """Leave limits to this file, and keep remarks of PIL and its libraries from the screen: what cannot be read is an
    error, and the rest is about metadata."""
    Image.MAX_IMAGE_PIXELS = None  # its limit ignores `draft`; `MOST_PIXELS` is lower
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").addHandler(logging.NullHandler())  # otherwise Python prints them for want of a handler
    with suppress(OSError, AttributeError):  # libtiff writes to the terminal by itself; it may be linked statically
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)


def _upright(image: Image.Image) -> Image.Image:
    """A loaded image rotated by its EXIF orientation, if that can be read.

    `ImageOps.exif_transpose` does the same, but writes the metadata anew, which fails on broken ones.
    """
    turn = _turn(image)
    return image if turn is None else image.transpose(turn)


def _turn(image: Image.Image) -> Transpose | None:
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # as many types as those of damaged files
        return None


def _half_of(image: Image.Image, half: Half) -> Image.Image:
    if image.width % 2:
        raise ValueError(f"it is {image.width} pixels wide, which two images of equal width cannot be side by side")
    middle = image.width // 2
    return image.crop((0, 0, middle, image.height) if half == "left" else (middle, 0, image.width, image.height))


def convert(image: Image.Image, mode: str) -> Image.Image:
    """Convert an image of any mode to "L" or "RGB". 16-bit grey is scaled; PIL alone would clip it at 255."""
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers of unknown range")
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).clip(0, 65535) / 257).round().astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode == "LAB":  # PIL converts it by way of nothing else
        image = image.convert("RGB")
    return image.convert(mode)
