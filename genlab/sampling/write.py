"""Pictures as arrays on disk, in the form that `dataset=npz` reads."""

from pathlib import Path

import numpy as np
from torch import Tensor


def save_npz(path: Path, images: Tensor, labels: Tensor | None = None) -> None:
    """Write pictures [N, C, H, W] in [0, 1] as `images` uint8 [N, H, W, C], and `labels` int64 [N] if given."""
    arrays = {"images": (images.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()}
    if labels is not None:
        arrays["labels"] = labels.numpy()
    np.savez_compressed(path, **arrays)
