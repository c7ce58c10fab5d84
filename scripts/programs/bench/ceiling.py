"""The machine's ceiling: the rate at which it multiplies large matrices, and how much of that a step needs."""

import time

import torch
from bench.plain import Step
from torch.utils.flop_counter import FlopCounterMode

_SIDE = 2048


def peak_rate(precision: str, seconds: float = 0.5) -> float:
    """FLOP/s of the best product of two matrices in the type that `precision` multiplies in: fp32, else bf16."""
    dtype = torch.float32 if precision == "fp32" else torch.bfloat16
    a, b = (torch.randn(_SIDE, _SIDE).to(dtype) for _ in range(2))
    shortest, end = float("inf"), time.perf_counter() + seconds
    while (begin := time.perf_counter()) < end or shortest == float("inf"):
        a @ b
        shortest = min(shortest, time.perf_counter() - begin)
    return 2 * _SIDE**3 / shortest


def flop_per_step(step: Step) -> int:
    """Floating point operations of the matrix products and convolutions of a step, forward and backward."""
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()
