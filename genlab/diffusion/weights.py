"""Weights of the squared error of a prediction, by the time.

References:
- Hang, Gu, Li, Bao, Chen, Hu, Geng, Guo 2023, Efficient Diffusion Training via Min-SNR Weighting Strategy,
  https://arxiv.org/abs/2303.09556
- Karras et al. 2022, https://arxiv.org/abs/2206.00364, equation 8
- Esser et al. 2024, Scaling Rectified Flow Transformers, https://arxiv.org/abs/2403.03206 (logit-normal times)
"""

from typing import Literal

import torch
from torch import Tensor

from genlab.diffusion.paths import Place, PredictionName

WeightingName = Literal["simple", "min-snr", "edm"]
TimesName = Literal["uniform", "logit-normal"]

_MOST_SNR = 5.0
DATA_DEVIATION = 0.5


def weight(name: WeightingName, place: Place, prediction: PredictionName) -> Tensor:
    """Of the squared error of `prediction`, shaped as the times. simple: 1. The others weight the error of x_0."""
    if name == "simple":
        return torch.ones_like(place.alpha)
    of_x0 = place.snr.clamp(max=_MOST_SNR) if name == "min-snr" else place.snr + 1 / DATA_DEVIATION**2
    return of_x0 * place.error_of_x0(prediction).square()


def drawn_times(name: TimesName, u: Tensor) -> Tensor:
    """Times in (0, 1) from uniform u in (0, 1). logit-normal: the sigmoid of a standard normal (Esser et al. 2024)."""
    if name == "uniform":
        return u
    return (2**0.5 * torch.erfinv(2 * u - 1)).sigmoid()
