"""Differentiable augmentation: what each does to an image, that it is differentiable, and slices of a batch."""

import pytest
import torch

from genlab.contract.data import Batch
from genlab.networks.diff_augment import AUGMENTATIONS, augmented, check_augmentations, colour, cutout, translation


def images(n=2):
    return torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_colour():
    x, neutral = images(), torch.tensor([[0.5, 0.5, 0.5]]).expand(2, -1)
    torch.testing.assert_close(colour(x, neutral), x)
    torch.testing.assert_close(colour(x, neutral + torch.tensor([0.25, 0, 0])), x + 0.25)
    grey = colour(x, torch.tensor([[0.5, 0.0, 0.5]]).expand(2, -1))
    torch.testing.assert_close(grey, x.mean(1, keepdim=True).expand_as(x))
    strong = colour(x, torch.tensor([[0.5, 0.5, 1.0]]).expand(2, -1))
    torch.testing.assert_close(strong.flatten(1).std(1), 1.5 * x.flatten(1).std(1))


def test_translation_moves_each_image_and_fills_with_grey():
    x = images()
    moved = translation(x, torch.tensor([[1.0, 0.5, 0.0], [0.5, 0.0, 0.0]]))
    torch.testing.assert_close(moved[0, :, :-1], x[0, :, 1:])
    torch.testing.assert_close(moved[1, :, :, 1:], x[1, :, :, :-1])
    assert not moved[0, :, -1].any() and not moved[1, :, :, 0].any()


def test_cutout_hides_a_quarter():
    hidden = cutout(torch.ones(1, 3, 8, 8), torch.tensor([[0.5, 0.3, 0.0]]))
    assert hidden.sum() == 3 * (64 - 16)
    assert not hidden[:, :, 2:6, 0:4].any()


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_gradients_reach_the_image(name):
    x = images().requires_grad_()
    AUGMENTATIONS[name](x, torch.rand(2, 3)).sum().backward()
    assert x.grad.abs().sum() > 0


def test_slices_of_a_batch_are_augmented_as_the_batch():
    x = images(4)
    whole = augmented(x, tuple(AUGMENTATIONS), Batch({"x": x}, 3))
    parts = [augmented(part["x"], tuple(AUGMENTATIONS), part) for part in Batch({"x": x}, 3).split(2)]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=0)


def test_others_are_refused():
    with pytest.raises(ValueError, match=r"model\.augment=color: choose from colour"):
        check_augmentations(["color"])
