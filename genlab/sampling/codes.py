"""Codes of pictures: of one that the user names, and of all of a set, with their mean and spread."""

from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from genlab.sampling.inputs import Pictures, open_input
from genlab.sampling.load import Run


def code_of(run: Run, place: str, key: str) -> tuple[Tensor, str]:
    """The code [1, L] of one picture file, and what it is called. `ValueError` naming `key` where it is none."""
    run.capability("encode")
    if not Path(place).expanduser().exists():
        raise ValueError(f"{key}={place}: no such file; name the file of one picture")
    found = open_input(run, place, key)
    if found.size != 1:
        raise ValueError(f"{key}={place}: holds {found.size} pictures; name the file of one")
    return run.encode(found.all().image), found.title


def codes_of(run: Run, pictures: Pictures) -> tuple[Tensor, list[str], Tensor | None]:
    """Codes [N, L] of all pictures, their names and their labels [N], None where they have none."""
    run.capability("encode")
    codes, names, labels = [], [], []
    with tqdm(total=pictures.size, desc="encoding", disable=None, leave=False) as bar:
        for portion in pictures.portions():
            codes.append(run.encode(portion.image))
            names += portion.names
            if portion.label is not None:
                labels.append(portion.label)
            bar.update(len(portion.names))
    return torch.cat(codes), names, torch.cat(labels) if labels else None
