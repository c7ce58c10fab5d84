"""DARN against its definition, on images and latents so few that all can be counted."""

import itertools

import lab
import pytest
import torch

from genlab.contract.data import Batch, DataSpec, Field
from genlab.models.darn import DARN

LATENTS = 4
SPEC = DataSpec({"x": Field("image", (1, 2, 3), levels=2)})


def all_of(count):
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=count)), dtype=torch.float64)


IMAGES = all_of(6).view(-1, 1, 2, 3)


@pytest.fixture
def model():
    torch.manual_seed(0)
    network = lab.network("masked-mlp", hidden=[])
    found = DARN(SPEC, network=network, latent_dim=LATENTS, encoder_hidden=[8], prior_hidden=[6])
    for parameter in found.parameters():  # larger than at the start, so that nothing is hidden
        parameter.data += 0.3 * torch.randn_like(parameter)
    return found.double().eval()


def joint(model):
    """log p(x, h) [images, latents] of all."""
    h = all_of(LATENTS)
    prior = model.log_prior(h)
    return torch.stack([model.log_likelihood(x.expand(len(h), -1, -1, -1), h) + prior for x in IMAGES]).detach()


def test_probabilities_of_all_images_and_latents_sum_to_one(model):
    assert joint(model).exp().sum().item() == pytest.approx(1)


def test_the_bound_is_that_of_its_definition(model):
    """sum_h q(h | x) (log p(x, h) - log q(h | x)), below log p(x), against means over many draws of h."""
    wanted = joint(model)
    h, logits = all_of(LATENTS), model.posterior(IMAGES)
    log_q = -torch.nn.functional.binary_cross_entropy_with_logits(
        logits[:, None].expand(-1, len(h), -1), h.expand(len(IMAGES), -1, -1), reduction="none"
    ).sum(2)
    elbo = (log_q.exp() * (wanted - log_q)).sum(1)
    assert (elbo < wanted.logsumexp(1)).all()
    torch.manual_seed(1)
    weights = model.log_weights(IMAGES, 20_000).detach()
    torch.testing.assert_close(weights.mean(0), elbo.detach(), atol=0.1, rtol=0)
    torch.testing.assert_close(
        weights.logsumexp(0) - torch.tensor(20_000.0).log(), wanted.logsumexp(1), atol=0.1, rtol=0
    )
    batch = Batch({"x": IMAGES.repeat(400, 1, 1, 1)}, seed=2)
    terms = sum(term.unflatten(0, (400, -1)).mean(0) for term in model.terms(batch))
    torch.testing.assert_close(-terms, elbo, atol=0.25, rtol=0)


def test_samples_have_the_probabilities_of_the_model(model):
    torch.manual_seed(3)
    x = model.sample(20_000).double()
    shares = torch.stack([(x == image).flatten(1).all(1).double().mean() for image in IMAGES])
    torch.testing.assert_close(shares, joint(model).logsumexp(1).exp(), atol=0.015, rtol=0)


def test_refusals():
    network = lab.network("masked-mlp")
    with pytest.raises(ValueError, match=r"dataset\.binarize=none: .*dataset\.binarize=dynamic"):
        DARN(DataSpec({"x": Field("image", (1, 8, 8))}), network=network)
    with pytest.raises(ValueError, match=r"network\.orderings=3"):
        DARN(SPEC, network=lab.network("masked-mlp", orderings=3))
