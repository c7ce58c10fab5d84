"""Training and validation splits of a table, as a function of the seed."""

import torch
from torch import Tensor

from genlab.system.seeding import mix


def split_sizes(count: int, validation_fraction: float, what: str = "dataset") -> dict[str, int]:
    """Number of rows by split; each split keeps at least one. what: holds the rows, for the message if there are too
    few."""
    if not 0 < validation_fraction < 1:
        raise ValueError(
            f"dataset.validation_fraction={validation_fraction} must lie between 0 and 1, both excluded, as in "
            "dataset.validation_fraction=0.1"
        )
    if count < 2:
        raise ValueError(f"{what}: holds {count} image; training and validation need one each. Give more.")
    held_out = min(max(round(count * validation_fraction), 1), count - 1)
    return {"train": count - held_out, "validation": held_out}


def split_rows(
    count: int, validation_fraction: float, seed: int, block_size: int = 1, what: str = "dataset"
) -> dict[str, Tensor]:
    """Row indices by split, int64 and ascending.

    block_size: number of consecutive rows that stay in one split. Video frames need it: split one by one, nearly every
    validation frame would have a neighbour in the training split.
    """
    order = torch.randperm(-(-count // block_size), generator=torch.Generator().manual_seed(mix(seed, count)))
    shuffled = (order[:, None] * block_size + torch.arange(min(block_size, count))).flatten()
    shuffled = shuffled[shuffled < count]  # the last block may be shorter
    held_out = split_sizes(count, validation_fraction, what)["validation"]
    return {"train": shuffled[held_out:].sort().values, "validation": shuffled[:held_out].sort().values}
