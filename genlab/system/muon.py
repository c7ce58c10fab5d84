"""Muon: an optimizer for networks that are trained for few steps.

The momentum of a weight matrix is replaced by the nearest matrix whose singular values are about 1: all directions
learn at one pace, where Adam is led by a few.

References:
- Jordan et al. 2024, Muon, an Optimizer for Hidden Layers in Neural Networks, https://kellerjordan.github.io/posts/muon
- Liu et al. 2025, Muon is Scalable for LLM Training, https://arxiv.org/abs/2502.16982 (steps of the size of Adam's)
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam

_FEWEST_OUT, _FEWEST_IN = 16, 32
"""Rows and columns of a matrix that has enough directions."""

_SIZE = 0.2
"""Root mean square of an entry of Adam's step, in learning rates."""

_QUINTIC = 3.4445, -4.775, 2.0315
"""a, b, c of s -> a s + b s^3 + c s^5, which repeated takes singular values in (0, 1] to about 1."""


class Muon(Adam):
    """Muon for matrices of 16 rows and 32 columns or more, kernels of convolutions [out, in, h, w] taken as
    [out, in h w]; Adam for biases, gains, small matrices and what reads or makes few channels.

    lr, weight_decay: of both, the latter decoupled as in AdamW. momentum: of Muon, of Nesterov's kind. betas, eps: of
    Adam.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 2e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ):
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum={momentum}: must lie in [0, 1)")
        params = list(params)
        large = [p.ndim > 1 and len(p) >= _FEWEST_OUT and p[0].numel() >= _FEWEST_IN for p in params]
        groups: list[dict[str, Any]] = [
            {"params": [p for p, is_large in zip(params, large, strict=True) if is_large == wanted]}
            for wanted in (True, False)
        ]
        super().__init__(groups, lr, betas, eps, weight_decay, decoupled_weight_decay=True)
        self.momentum = momentum

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step with the gradients that there are, which are spent."""
        group = self.param_groups[0]
        for p in group["params"]:
            if p.grad is None:
                continue
            state = self.state[p]
            if not state:  # of Adam's form, which it checks when a state is loaded
                state.update(step=torch.zeros(()), exp_avg=torch.zeros_like(p))
            state["step"] += 1
            mean = state["exp_avg"].lerp_(p.grad, 1 - self.momentum)
            update = orthogonal(p.grad.lerp(mean, self.momentum).flatten(1))
            p.mul_(1 - group["lr"] * group["weight_decay"])
            p.sub_(group["lr"] * _SIZE * max(update.shape) ** 0.5 * update.reshape(p.shape))
            p.grad = None  # so that Adam leaves it alone
        return super().step(closure)


def orthogonal(matrix: Tensor) -> Tensor:
    """U V^T of a matrix [N, M] = U S V^T, but with singular values between about 0.7 and 1.2."""
    tall = len(matrix) > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / x.norm().clamp(min=1e-7)
    a, b, c = _QUINTIC
    square, product = x @ x.T, None  # each step multiplies x by a polynomial of x x^T, a small matrix
    for _ in range(5):
        factor = torch.addmm(square, square, square, beta=b, alpha=c)
        factor.diagonal().add_(a)
        product = factor if product is None else factor @ product
        square = factor @ square @ factor
    x = product @ x
    return x.T if tall else x
