"""Every random draw is a function of integers that a checkpoint already holds: seed, rank, step, position."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_MASK = 2**64 - 1


def mix(*numbers: int) -> int:
    """Hash integers to one well-mixed 63-bit seed (splitmix64's finaliser, applied once per integer).

    Unlike with `seed + step`, neighbouring inputs give unrelated outputs: (seed 0, step 1) shares nothing with
    (seed 1, step 0).
    """
    state = 0x9E3779B97F4A7C15
    for number in numbers:
        state = (state ^ (number & _MASK)) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB & _MASK
        state ^= state >> 31
    return state >> 1


def seed_device(device: torch.device, seed: int) -> None:
    """Seed the global generators of `device` and of the CPU.

    `torch.manual_seed` seeds every device type, and records a stack trace for each that is not initialised yet, which
    takes a tenth of a small network's step.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index].manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


@contextmanager
def seeded(*numbers: int) -> Iterator[None]:
    """Seed torch's global generators by `numbers` inside the block; their previous state is restored after it."""
    with torch.random.fork_rng():
        torch.manual_seed(mix(*numbers))
        yield
