"""Pictures side by side: from tensors to one image and to PNG files."""

from pathlib import Path

from torch import Tensor


def tile(pictures: Tensor) -> Tensor:
    """One image [C, H', W'] of pictures [rows, columns, C, H, W] in [0, 1], with a grey line between neighbours."""
    from torchvision.utils import make_grid

    columns = pictures.shape[1]
    return make_grid(pictures.flatten(0, 1).clamp(0, 1), nrow=columns, padding=2, pad_value=0.5)


def square(pictures: Tensor) -> Tensor:
    """Lay pictures [N, C, H, W] out in about as many rows as columns, [rows, columns, C, H, W]; a rest is left out."""
    columns = max(1, round(len(pictures) ** 0.5))
    rows = len(pictures) // columns
    return pictures[: rows * columns].unflatten(0, (rows, columns))


def save_png(pictures: Tensor, path: Path) -> None:
    """Write pictures [rows, columns, C, H, W] in [0, 1] as one PNG, enlarged by whole numbers where they are small."""
    from torchvision.utils import save_image

    image = tile(pictures)
    scale = max(1, 720 // max(image.shape[-2:]))
    save_image(image.repeat_interleave(scale, -1).repeat_interleave(scale, -2), path)
