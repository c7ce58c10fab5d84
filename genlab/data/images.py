"""Images from files and arrays to uint8 [C, H, W]: decode, convert, resize, crop; and tables of image files."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from genlab.data.cache import Layout, cached
from genlab.data.source import Examples
from genlab.system import cores

if TYPE_CHECKING:  # PIL costs a tenth of a second, which commands that read no files need not pay
    from PIL.Image import Image

MODES = {1: "L", 3: "RGB"}

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""What is decoded, whatever a file is called: for others PIL may start programs."""

MOST_PIXELS = 2**25
"""Of a file as it is decoded, 0.1 GiB in colour: a file of a few bytes may claim any number."""

_DECODED_IN_A_ROW = 32
_SLICE = 2**20  # numbers that are scaled at once: those of as many floats still fit in a cache of the processor


def image_size(channels: int, size: int | list[int]) -> tuple[int, int, int]:
    """(channels, height, width) of `dataset.channels` and `dataset.size` (a number, or [height, width])."""
    if channels not in MODES:
        raise ValueError(f"dataset.channels={channels} is not known. Give 3 for colour or 1 for grey.")
    sides = [size, size] if isinstance(size, int) else size
    if len(sides) != 2 or min(sides) < 1:
        raise ValueError(f"dataset.size={size} is no image size. Give pixels, as in 64 or [64,48] (height, width).")
    height, width = sides
    return channels, height, width


def resize(images: Tensor, size: int | None) -> Tensor:
    """uint8 [N, C, H, W] to [N, C, size, size], bilinear with antialiasing; as it is where `size` is None or native.

    In slices: a float copy of all at once would take four times the memory of the table.
    """
    if size is None or images.shape[-2:] == (size, size):
        return images
    resized = torch.empty(*images.shape[:2], size, size, dtype=torch.uint8)
    rows = max(1, min(4096, _SLICE // prod(resized.shape[1:])))
    for part, target in zip(images.split(rows), resized.split(rows), strict=True):
        target[:] = interpolate(part.float(), (size, size), mode="bilinear", antialias=True).round_().clamp_(0, 255)
    return resized


def decode(path: str, shape: tuple[int, int, int], crop: int | None = None) -> Tensor:
    """Read an image of any size and mode as uint8 `shape` (channels, height, width).

    It is turned as its EXIF entry says, scaled to cover `shape` and cut to it around its centre; transparency shows
    white. crop: side in pixels of the central square of the file to take instead of the largest that fits.
    """
    from PIL import ImageOps

    channels, height, width = shape
    try:
        if not os.path.isfile(path):
            raise ValueError("it is no file")
        Image = _pil_image()
        with Image.open(path, formats=FORMATS) as image:
            if crop is None:
                # JPEG can decode at 1/2, 1/4 or 1/8 size; twice the goal leaves the final filter enough to work on.
                image.draft(MODES[channels], (2 * max(height, width),) * 2)
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"it has {image.width}x{image.height} pixels, at most {MOST_PIXELS} are decoded")
            image = convert(ImageOps.exif_transpose(image), MODES[channels])
            if crop is not None:
                left, top = (image.width - crop) / 2, (image.height - crop) / 2
                image = image.crop((round(left), round(top), round(left) + crop, round(top) + crop))
            pixels = np.array(ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC))
    except Exception as error:  # decoders raise whatever they like on damaged files: OSError, SyntaxError, struct.error
        raise ValueError(f"{path} cannot be read as an image ({error}). Repair or remove it.") from error
    return torch.from_numpy(pixels).view(height, width, channels).permute(2, 0, 1)


@cache
def _pil_image():
    """PIL.Image without its warning of large files, which are refused, or decoded at a fraction of their size."""
    from PIL import Image

    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    return Image


def convert(image: "Image", mode: str) -> "Image":
    """An image of any mode as "L" or "RGB"; 16-bit greys are scaled, where PIL alone would clip them at 255."""
    from PIL import Image

    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers of unknown range")
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).clip(0, 65535) / 257).round().astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)


class ImageFiles(Examples):
    """Image files that are decoded whenever they are drawn, or all at once by `load`.

    field: name of the images in a batch; labels: int64 [N] or None; shape, crop: as `decode` takes them.
    """

    def __init__(
        self,
        field: str,
        paths: list[str],
        shape: tuple[int, int, int],
        labels: Tensor | None = None,
        crop: int | None = None,
    ):
        self.field, self.paths, self.shape, self.labels, self.crop = field, paths, shape, labels, crop
        self.nbytes = len(paths) * int(np.prod(shape)) + (0 if labels is None else labels.nbytes)

    def __len__(self) -> int:
        return len(self.paths)

    def rows(self, index: Tensor) -> dict[str, Tensor]:
        images = torch.stack([decode(self.paths[row], self.shape, self.crop) for row in index.tolist()])
        return self._fields(images, index)

    def load(self) -> dict[str, Tensor]:
        request = {"images": self.shape, "crop": self.crop}
        layout: Layout = {"images": (torch.uint8, (len(self), *self.shape))}
        table = cached(request, self.paths, layout, lambda: {"images": self._decode_all()})
        return self._fields(table["images"], torch.arange(len(self)))

    def _decode_all(self) -> Tensor:
        from tqdm import tqdm

        images = torch.empty(len(self), *self.shape, dtype=torch.uint8)

        def decode_rows(rows: Tensor) -> int:
            for row in rows.tolist():
                images[row] = decode(self.paths[row], self.shape, self.crop)
            return len(rows)

        bar = tqdm(desc="reading images", total=len(self), leave=False, disable=None)
        with bar, ThreadPoolExecutor(cores.available()) as pool:
            try:
                # Several in a row: to hand over single small ones takes as long as to decode them.
                for count in pool.map(decode_rows, torch.arange(len(self)).split(_DECODED_IN_A_ROW)):
                    bar.update(count)
            except BaseException:
                # Without this a damaged image would be reported only after all the others were read.
                pool.shutdown(cancel_futures=True)
                raise
        return images

    def _fields(self, images: Tensor, index: Tensor) -> dict[str, Tensor]:
        labels = {} if self.labels is None else {"label": self.labels[index]}
        return {self.field: images, **labels}
