"""Pictures as files: arrays in the form that `dataset=npz` reads, single PNGs, animated GIFs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor


def to_uint8(images: Tensor) -> np.ndarray:
    """Pictures [N, C, H, W] in [0, 1] as uint8 [N, H, W, C]."""
    return (images.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()


def save_npz(path: Path, images: Tensor, labels: Tensor | None = None, **arrays: Tensor) -> None:
    """Write pictures [N, C, H, W] in [0, 1] as `images` uint8 [N, H, W, C], `labels` int64 [N], and other `arrays`."""
    extra = {name: value.numpy() for name, value in arrays.items()}
    if labels is not None:
        extra["labels"] = labels.numpy()
    np.savez_compressed(path, images=to_uint8(images), **extra)


def save_gif(frames: Sequence[Tensor], path: Path, milliseconds: int = 80, there_and_back: bool = True) -> None:
    """An endless animation of images [C, H, W] in [0, 1]; `there_and_back` plays it forwards, then backwards."""
    from PIL import Image

    pixels = [to_uint8(frame[None])[0] for frame in frames]
    images = [Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture) for picture in pixels]
    if there_and_back:
        images += images[-2:0:-1]
    images[0].save(path, save_all=True, append_images=images[1:], duration=milliseconds, loop=0)
