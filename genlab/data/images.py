"""Decode, convert, resize and crop images to uint8 [C, H, W]; tables of image files."""

import os
from concurrent.futures import ThreadPoolExecutor
from math import prod
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate
from tqdm import tqdm

from genlab.contract.data import ImageShape
from genlab.data.cache import cached
from genlab.data.source import Examples
from genlab.system import cores

if TYPE_CHECKING:  # importing PIL takes 0.1 s, which commands that read no files save
    from PIL.Image import Image

MODES = {1: "L", 3: "RGB"}

LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue, ITU-R BT.601."""

Half = Literal["left", "right"]

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""Formats that are decoded, whatever the file is called: for others PIL may start external programs."""

MOST_PIXELS = 2**25
"""Maximum pixels of a decoded file, 0.1 GiB in colour: a file of a few bytes may claim any size."""

_IMAGES_PER_TASK = 32
_SLICE = 2**20  # values resized at once: as floats they still fit in the CPU cache


def image_size(channels: int, size: int | list[int]) -> ImageShape:
    """(channels, height, width) of `dataset.channels` and `dataset.size` (a number, or [height, width])."""
    if channels not in MODES:
        raise ValueError(f"dataset.channels={channels} is not known. Give 3 for colour or 1 for grey.")
    sides = [size, size] if isinstance(size, int) else size
    if len(sides) != 2 or min(sides) < 1:
        raise ValueError(f"dataset.size={size} is no image size. Give pixels, as in 64 or [64,48] (height, width).")
    height, width = sides
    return channels, height, width


def resize(images: Tensor, size: int | None) -> Tensor:
    """uint8 [N, C, H, W] to [N, C, size, size], bilinear with antialiasing; unchanged if `size` is None or native.

    In slices: a float copy of the whole table would take four times its memory.
    """
    if size is None or images.shape[-2:] == (size, size):
        return images
    resized = torch.empty(*images.shape[:2], size, size, dtype=torch.uint8)
    rows = max(1, min(4096, _SLICE // prod(resized.shape[1:])))
    for part, target in zip(images.split(rows), resized.split(rows), strict=True):
        target[:] = interpolate(part.float(), (size, size), mode="bilinear", antialias=True).round_().clamp_(0, 255)
    return resized


def decode(path: str, shape: ImageShape, crop: int | None = None, half: Half | None = None) -> Tensor:
    """Read an image of any size and mode as uint8 `shape` (channels, height, width).

    It is rotated by its EXIF orientation, scaled to cover `shape` and centre-cropped; transparent pixels become white.
    crop: side in pixels of a central square to take from the file, instead of the largest area that fits.
    half: of a file that holds two images of equal width side by side, the one to read.
    """
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = None  # its limit ignores `draft`; `MOST_PIXELS` is lower
    channels, height, width = shape
    try:
        if not os.path.isfile(path):
            raise ValueError("it is no file")
        with Image.open(path, formats=FORMATS) as file:
            if crop is None:
                # JPEG can decode at 1/2, 1/4 or 1/8 size; twice the target size leaves enough detail for the filter.
                file.draft(MODES[channels], ((4 if half else 2) * max(height, width),) * 2)
            if file.width * file.height > MOST_PIXELS:
                raise ValueError(f"it has {file.width}x{file.height} pixels, at most {MOST_PIXELS} are decoded")
            image = convert(ImageOps.exif_transpose(file), MODES[channels])
            if half is not None:
                image = _half_of(image, half)
            if crop is not None:
                left, top = (image.width - crop) / 2, (image.height - crop) / 2
                image = image.crop((round(left), round(top), round(left) + crop, round(top) + crop))
            pixels = np.array(ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC))
    except Exception as error:  # decoders raise many types on damaged files: OSError, SyntaxError, struct.error
        raise ValueError(f"{path} cannot be read as an image ({error}). Repair or remove it.") from error
    return torch.from_numpy(pixels).view(height, width, channels).permute(2, 0, 1)


def _half_of(image: "Image", half: Half) -> "Image":
    if image.width % 2:
        raise ValueError(f"it is {image.width} pixels wide, which two images of equal width cannot be side by side")
    middle = image.width // 2
    return image.crop((0, 0, middle, image.height) if half == "left" else (middle, 0, image.width, image.height))


def convert(image: "Image", mode: str) -> "Image":
    """Convert an image of any mode to "L" or "RGB". 16-bit grey is scaled; PIL alone would clip it at 255."""
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
    """Image files, decoded each time they are drawn, or all at once by `load`.

    field: name of the images in a batch; labels: int64 [N] or None; shape, crop, half: see `decode`.
    """

    def __init__(
        self,
        field: str,
        paths: list[str],
        shape: ImageShape,
        labels: Tensor | None = None,
        crop: int | None = None,
        half: Half | None = None,
    ):
        self.field, self.paths, self.shape, self.labels, self.crop, self.half = field, paths, shape, labels, crop, half
        self.nbytes = len(paths) * int(np.prod(shape)) + (0 if labels is None else labels.nbytes)

    def __len__(self) -> int:
        return len(self.paths)

    def rows(self, index: Tensor) -> dict[str, Tensor]:
        images = torch.stack([self._decode(row) for row in index.tolist()])
        return self._fields(images, index)

    def _decode(self, row: int) -> Tensor:
        return decode(self.paths[row], self.shape, self.crop, self.half)

    def load(self) -> dict[str, Tensor]:
        request = {"images": self.shape, "crop": self.crop, "half": self.half}
        table = cached(request, self.paths, lambda: {"images": self._decode_all()})
        return self._fields(table["images"], torch.arange(len(self)))

    def _decode_all(self) -> Tensor:
        images = torch.empty(len(self), *self.shape, dtype=torch.uint8)

        def decode_rows(rows: Tensor) -> int:
            for row in rows.tolist():
                images[row] = self._decode(row)
            return len(rows)

        bar = tqdm(desc="reading images", total=len(self), leave=False, disable=None)
        with bar, ThreadPoolExecutor(cores.available()) as pool:
            try:
                # In groups: dispatching a small image takes as long as decoding it.
                for count in pool.map(decode_rows, torch.arange(len(self)).split(_IMAGES_PER_TASK)):
                    bar.update(count)
            except BaseException:
                # Otherwise a damaged image would be reported only after all others are read.
                pool.shutdown(cancel_futures=True)
                raise
        return images

    def _fields(self, images: Tensor, index: Tensor) -> dict[str, Tensor]:
        labels = {} if self.labels is None else {"label": self.labels[index]}
        return {self.field: images, **labels}
