"""Latents of a single image or of a whole set."""

from pathlib import Path

import torch
from torch import Tensor

from genlab.inference.run import Run
from genlab.inspection.images import Images, labels_of
from genlab.inspection.inputs import open_input


def latent_of(run: Run, place: str, key: str) -> tuple[Tensor, str]:
    """The latent [1, L] of one image file, and its title. `ValueError` naming `key` if it is not one image."""
    run.capability("encode")
    if not Path(place).expanduser().exists():
        raise ValueError(f"{key}={place}: no such file; name the file of one image")
    found = open_input(run, place, key)
    if found.size != 1:
        raise ValueError(f"{key}={place}: holds {found.size} images; name the file of one")
    return run.encode(found.all().image), found.title


def latents_of(run: Run, images: Images) -> tuple[Tensor, list[str], Tensor | None]:
    """Latents [N, L], names and labels [N] of all images; labels are None if there are none."""
    run.capability("encode")
    latents, batches = [], []
    for batch in images.batches("encoding"):
        latents.append(run.encode(batch.image))
        batch.image = torch.empty(0)  # free the images; only names and labels are kept
        batches.append(batch)
    return torch.cat(latents), [name for batch in batches for name in batch.names], labels_of(batches)
