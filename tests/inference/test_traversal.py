"""Perturbation analysis: one latent moves, the others do not, and what moves the image is found."""

from pathlib import Path
from types import SimpleNamespace

import lab
import pytest
import torch

from genlab.contract.data import image_spec
from genlab.inference.interpolation import even
from genlab.inference.run import Run
from genlab.inference.traversal import Span, changes

WEIGHTS = torch.tensor([0.01, 0.1, 0.0, 0.05])


def painter(requires=frozenset()):
    """A run whose image is 1/2 + sum_l WEIGHTS[l] z[l] everywhere, and 1/10 darker for each label."""

    def decode(z, label=None):
        grey = 0.5 + z @ WEIGHTS - (0 if label is None else 0.1 * label)
        return grey.view(-1, 1, 1, 1).expand(-1, 1, 2, 3)

    model = SimpleNamespace(prior=lambda n, truncation=None: torch.randn(n, 4), decode=decode, requires=requires)
    config = SimpleNamespace(choices=SimpleNamespace(model="painter"))
    return Run(Path("run"), 1, config, image_spec((1, 2, 3), 3), model, lab.CPU)


def test_change_is_the_way_that_pixels_go_and_not_how_far_they_get():
    there = torch.tensor([0.0, 0.25, 0.5]).view(1, 3, 1, 1, 1)
    and_back = torch.tensor([0.0, 0.5, 0.0]).view(1, 3, 1, 1, 1)
    half = torch.cat([there, torch.zeros_like(there)], 4)  # only one of two pixels moves
    assert changes(torch.cat([there, and_back])).tolist() == [0.5, 1.0]
    assert changes(half).tolist() == [0.25]


def test_changes_find_the_latents_that_matter():
    run = painter()
    span = Span(torch.zeros(4), torch.zeros(4), torch.ones(4), extent=2.0)
    images = run.traverse(range(4), span.values(even(9)))
    assert images.shape == (4, 9, 1, 2, 3)
    torch.testing.assert_close(changes(images), 4 * WEIGHTS)


def test_a_run_traverses_from_its_middle_or_from_a_given_start():
    run, values = painter(), torch.tensor([-1.0, 1.0])
    torch.testing.assert_close(run.traverse([1], values).mean((0, 2, 3, 4)), torch.tensor([0.4, 0.6]))
    start = torch.tensor([0.0, 7.0, 0.0, 2.0])
    torch.testing.assert_close(run.traverse([1], values, start).mean((0, 2, 3, 4)), torch.tensor([0.5, 0.7]))


def test_rows_keep_their_labels():
    run = painter(frozenset({"label"}))
    z = torch.zeros(3, 4)
    images = run.interpolate(z, z, steps=2, label=torch.tensor([0, 1, 2]))
    torch.testing.assert_close(images.mean((2, 3, 4)), torch.tensor([[0.5, 0.5], [0.4, 0.4], [0.3, 0.3]]))
    torch.testing.assert_close(run.traverse([0], torch.zeros(2), label=2).unique(), torch.tensor([0.3]))


def test_what_a_run_cannot_traverse_is_said():
    run = painter()
    with pytest.raises(ValueError, match=r"latents=\[4\]: this run has the latents 0 to 3"):
        run.traverse([4], torch.zeros(2))
    run.model = SimpleNamespace(requires=frozenset())
    with pytest.raises(ValueError, match="model painter cannot decode"):
        run.traverse([0], torch.zeros(2))
