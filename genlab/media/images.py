"""Images as files: arrays of pixels, single PNGs, animated GIFs."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from torch import Tensor

from genlab.media.metadata import Origin

if TYPE_CHECKING:
    from PIL.Image import Image


_COMPRESSION = 3
"""Compression level of PNG files, 0 to 9: twice as fast as PIL's default of 6, files are an eighth larger."""


def to_uint8(images: Tensor) -> np.ndarray:
    """Images [N, C, H, W] in [0, 1] as uint8 [N, H, W, C]."""
    return (images.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()


class Png(NamedTuple):
    """The content of a PNG file, and its size in pixels. sounds: WAV files by name, what can be heard of it."""

    content: bytes
    height: int
    width: int
    sounds: dict[str, bytes] = {}


def encode(pixels: np.ndarray, origin: Origin | None = None) -> Png:
    """One image, uint8 [H, W, C] with 1 or 3 channels, as a PNG, with its origin as metadata if given."""
    from PIL.PngImagePlugin import PngInfo

    file, info = BytesIO(), PngInfo()
    for key, text in (origin.entries() if origin else {}).items():
        info.add_text(key, text)
    _image(pixels).save(file, "PNG", compress_level=_COMPRESSION, pnginfo=info)
    return Png(file.getvalue(), *pixels.shape[:2])


def save_image(pixels: np.ndarray, path: Path, origin: Origin | None = None) -> None:
    """Write one image, uint8 [H, W, C] with 1 or 3 channels, as a PNG, with its origin as metadata if given."""
    path.write_bytes(encode(pixels, origin).content)


def save_gif(frames: Sequence[Tensor], path: Path, origin: Origin | None = None, milliseconds: int = 80) -> None:
    """Write a looping GIF of images [C, H, W] in [0, 1], forwards and then backwards, with its origin if given."""
    images = [_image(to_uint8(frame[None])[0]) for frame in frames]
    images += images[-2:0:-1]
    metadata = {"comment": origin.comment()} if origin else {}
    images[0].save(path, save_all=True, append_images=images[1:], duration=milliseconds, loop=0, **metadata)


def _image(pixels: np.ndarray) -> "Image":
    """uint8 [H, W, C] as a PIL image; one channel is grey."""
    from PIL.Image import fromarray

    return fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
