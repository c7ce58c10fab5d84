"""Muon: steps along the nearest orthogonal matrix for large matrices, Adam's for the rest."""

import pytest
import torch

from genlab.system.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(40, 20), (20, 40), (32, 32)])
def test_directions_stay_and_their_strengths_become_alike(shape):
    torch.manual_seed(0)
    u, s, v = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    found = orthogonal(u @ (s * torch.linspace(0.05, 1, len(s))).diag() @ v)
    strengths = u.T @ found @ v.T
    assert (strengths.diag() > 0.6).all() and (strengths.diag() < 1.3).all()
    assert (strengths - strengths.diag().diag()).abs().max() < 1e-3


def test_small_weights_take_the_steps_of_adam():
    torch.manual_seed(0)
    start = {name: torch.randn(shape) for name, shape in (("bias", (64,)), ("first", (16, 3, 3, 3)), ("last", (3, 64)))}
    gradients = {name: torch.randn_like(value) for name, value in start.items()}
    found = []
    for kind in (Muon, torch.optim.Adam):
        weights = {name: torch.nn.Parameter(value.clone()) for name, value in start.items()}
        optimizer = kind(weights.values(), lr=0.1, betas=(0.9, 0.99))
        for _ in range(3):
            for name, weight in weights.items():
                weight.grad = gradients[name].clone()
            optimizer.step()
        found.append(weights)
    torch.testing.assert_close(*found)


def test_a_step_of_a_kernel_is_as_large_as_adams_and_goes_down():
    torch.manual_seed(0)
    kernel = torch.nn.Parameter(torch.randn(32, 16, 3, 3).to(memory_format=torch.channels_last))
    before, kernel.grad = kernel.detach().clone(), torch.randn_like(kernel)
    gradient = kernel.grad.clone()
    Muon([kernel], lr=0.1).step()
    moved = kernel.detach() - before
    assert (moved * gradient).sum() < 0
    assert 0.01 < moved.square().mean().sqrt() < 0.03


def test_weights_decay_whatever_their_shape():
    weights = [torch.nn.Parameter(torch.ones(shape)) for shape in ((16, 32), (4,))]
    for weight in weights:
        weight.grad = torch.zeros_like(weight)
    Muon(weights, lr=0.1, weight_decay=0.5).step()
    for weight in weights:
        torch.testing.assert_close(weight.detach(), torch.full_like(weight, 0.95))
