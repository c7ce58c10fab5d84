"""Contrast of patches: by hand, at its ends, and where no gradient goes."""

import math

import torch

from genlab.losses.contrastive import patch_contrast


def test_by_hand():
    keys = torch.tensor([[[2.0, 0.0], [0.0, 3.0]]])
    queries = torch.tensor([[[1.0, 0.0], [1.0, 1.0]]])
    # Cosines of the first query: 1, 0; of the second 1/sqrt 2 each, which tells nothing: log 2.
    first = math.log(1 + math.exp(-1 / 0.5))
    torch.testing.assert_close(patch_contrast(queries, keys, 0.5), torch.tensor((first + math.log(2)) / 2))


def test_images_are_not_contrasted_with_each_other():
    keys = torch.randn(3, 4, 5)
    apart = torch.stack([patch_contrast(keys[n : n + 1], keys[n : n + 1]) for n in range(3)]).mean()
    torch.testing.assert_close(patch_contrast(keys, keys), apart)


def test_keys_get_no_gradient():
    queries, keys = (torch.randn(1, 3, 4, requires_grad=True) for _ in range(2))
    patch_contrast(queries, keys).backward()
    assert queries.grad.abs().sum() > 0 and keys.grad is None
