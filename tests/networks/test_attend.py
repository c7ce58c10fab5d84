"""Attention with gradients on a CPU is that without them."""

import torch
from torch.testing import assert_close

from genlab.networks.layers import attend


def test_attention_is_the_same_with_gradients_and_without():
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 4, 9, 8).unbind()
    assert_close(attend(q.clone().requires_grad_(), k, v).detach(), attend(q, k, v))
