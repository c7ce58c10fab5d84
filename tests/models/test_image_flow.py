"""Flows of images against their definition: inverse, log-determinant by autograd, densities that integrate to 1."""

import math

import pytest
import torch

from genlab.contract.data import Batch, DataSpec, Field
from genlab.models.image_flow import ImageFlow
from genlab.networks.invertible import Affine, Checkerboard, Convolution, Coupling, Flip

SHAPE = (4, 4, 6)
LAYERS = {
    "affine of channels": lambda: Affine((4, 1, 1)),
    "affine of entries": lambda: Affine(SHAPE),
    "convolution": lambda: Convolution(4),
    "flip": lambda: Flip(),
    "coupling": lambda: Coupling(SHAPE, 5, features=3),
    "even checkerboard": lambda: Checkerboard(SHAPE, 5, 3, odd=False),
    "odd checkerboard": lambda: Checkerboard(SHAPE, 5, 3, odd=True),
}
PRECISE = {torch.float64: 1e-10, torch.float32: 1e-5}


def shaken(module, dtype=torch.float64):
    """With weights larger than at the start, so that nothing is hidden."""
    for parameter in module.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return module.to(dtype).eval().requires_grad_(False)


def flow(shape=(1, 8, 12), greys=256, dtype=torch.float64, **settings):
    torch.manual_seed(0)
    spec = DataSpec({"x": Field("image", shape, levels=greys), "label": Field("label", size=3)})
    return shaken(ImageFlow(spec, **{"layers": 4, "channels": 6, **settings}), dtype)


def images(count=5, shape=(1, 8, 12), dtype=torch.float64):
    return torch.randint(0, 256, (count, *shape)).to(dtype) / 255


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_invertible_and_knows_its_determinant(name):
    torch.manual_seed(0)
    layer = shaken(LAYERS[name]())
    x, features = torch.randn(2, *SHAPE, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    y, log_det = layer(x, features)
    torch.testing.assert_close(layer.inverse(y, features), x, rtol=0, atol=1e-12)
    assert not torch.equal(y, x)

    def first(x):
        return layer(x.view(1, *SHAPE), features[:1])[0].flatten()

    matrix = torch.autograd.functional.jacobian(first, x[0].flatten())
    torch.testing.assert_close(log_det.expand(2)[0], matrix.slogdet().logabsdet)


@pytest.mark.parametrize("dtype", PRECISE, ids=str)
@pytest.mark.parametrize("settings", [{"mixing": "conv"}, {"mixing": "masks"}, {"levels": 1}], ids=str)
def test_what_is_encoded_is_decoded(settings, dtype):
    found, x, label = (
        flow(dtype=dtype, conditional=True, **settings),
        images(dtype=dtype),
        torch.tensor([0, 1, 2, 0, 1]),
    )
    z = found.encode(x, {"label": label})
    assert z.shape == (5, 96)
    assert (found.decode(z, {"label": label}) - x).abs().max() < PRECISE[dtype]
    assert (found.decode(z, {"label": label.flip(0)}) - x).abs().max() > 1e-3
    error = found.evaluate(Batch({"x": x, "label": label}, seed=0))["inverse_error"]
    assert 0 < error < PRECISE[dtype]


@pytest.mark.parametrize("mixing", ["conv", "masks"])
def test_log_prob_is_the_density_by_change_of_variables(mixing):
    """From grey levels k + u to latents, with the determinant of the whole map by autograd."""
    found, x = flow((1, 4, 4), mixing=mixing), images(1, (1, 4, 4))
    noise = torch.rand_like(x)

    def latents(noise):
        return found.network(found.inward(x, noise.view(1, 1, 4, 4))[0])[0, :-1]

    z, matrix = latents(noise), torch.autograd.functional.jacobian(latents, noise.flatten())
    expected = -0.5 * (z.square() + math.log(2 * math.pi)).sum() + matrix.slogdet().logabsdet
    torch.testing.assert_close(found.nats(x, None, noise)[0], expected)
    torch.manual_seed(3)
    other = torch.rand_like(x)
    torch.manual_seed(3)
    assert torch.equal(found.log_prob(x), found.nats(x, None, other)), "noise by torch's global generator"


def test_samples_have_the_density_of_the_model():
    """E q(v) / p(v) over samples v is 1 for every density q: here the uniform one of 2x2 pixels in [0.2, 3.8]."""
    found = flow((1, 2, 2), greys=4, levels=1)
    torch.manual_seed(1)
    v = 4 * (4 * found.network(found.prior(100_000), inverse=True)).sigmoid()
    inside = (v - 2).abs().flatten(1).max(1).values < 1.8
    p = found.nats(v.floor() / 3, None, v - v.floor()).exp()
    assert (inside / (3.6**4 * p)).mean().item() == pytest.approx(1, abs=0.05)


def test_variational_noise_gives_a_bound():
    """E_q p / q is the probability of the image, as the mean of p is over uniform noise."""
    plain, found = (flow((1, 2, 2), greys=4, levels=1, dequantisation=name) for name in ("uniform", "variational"))
    found.load_state_dict(plain.state_dict(), strict=False)  # p is the same
    x = ((torch.eye(2, dtype=torch.float64) + 1) / 3).expand(20_000, 1, 2, 2)
    noise = torch.rand(20_000, 1, 2, 2, dtype=torch.float64)
    exact, nats = plain.nats(x, None, noise).exp().mean(), found.nats(x, None, noise)
    torch.testing.assert_close(nats.exp().mean(), exact, rtol=0.03, atol=0)
    assert nats.mean() < exact.log()


def test_bits_are_those_of_grey_levels():
    """8 bits are a uniform distribution over 256 levels."""
    found = flow()
    uniform = torch.tensor(-96 * math.log(256))
    assert found.bits_per_dim(uniform).item() == pytest.approx(8)


def test_a_class_changes_the_density_and_temperature_the_deviation():
    found, x = flow(conditional=True), images(3)
    torch.manual_seed(1)
    noise = torch.rand_like(x)
    nats = [found.nats(x, {"label": torch.full((3,), label)}, noise) for label in range(3)]
    assert not torch.allclose(nats[0], nats[1])
    plain = flow()
    torch.manual_seed(2)
    z = plain.prior(4)
    torch.manual_seed(2)
    assert torch.equal(plain.sample(4, temperature=0.5), plain.decode(0.5 * z))


def test_refusals():
    with pytest.raises(ValueError, match=r"model\.levels=3: .*28x20.*model\.levels=2.*dataset\.size=24"):
        flow((1, 28, 20), levels=3)
    with pytest.raises(ValueError, match=r"model\.levels=2: .*25x25.*dataset\.size=28"):
        flow((1, 25, 25))
    with pytest.raises(ValueError, match=r"sampling\.temperature=0"):
        flow().sample(2, temperature=0)
