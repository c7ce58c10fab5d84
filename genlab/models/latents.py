"""Sampling from the standard normal prior, shared by several models."""

import torch
from torch import Tensor, nn


def standard_normal(num_samples: int, size: int, network: nn.Module, truncation: float | None = None) -> Tensor:
    """z ~ N(0, I), [num_samples, size], by torch's global generator, on the device and in the dtype of `network`.

    truncation: entries of larger magnitude are redrawn, which trades diversity for more typical samples; above 0.
    Reference: Brock, Donahue, Simonyan 2019, Large Scale GAN Training for High Fidelity Natural Image Synthesis,
    https://arxiv.org/abs/1809.11096, section 3.1.
    """
    like = next(network.parameters())
    z = torch.empty(num_samples, size, device=like.device, dtype=like.dtype)
    if truncation is None:
        return z.normal_()
    if truncation <= 0:
        raise ValueError(f"sampling.truncation={truncation}: must be greater than 0, as in sampling.truncation=0.7")
    return nn.init.trunc_normal_(z, a=-truncation, b=truncation)
