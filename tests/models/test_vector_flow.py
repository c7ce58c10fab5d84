"""Flows of vectors against their definition: inverse, log-determinant, densities that integrate to 1, and bits."""

import itertools
import math

import lab
import pytest
import torch

from genlab.contract.data import Batch, DataSpec, Field
from genlab.data.points import Ring
from genlab.models.vector_flow import VectorFlow

KINDS = {
    "maf": ("masked-mlp", {"hidden": [24], "direct": False}, {"transform": "affine"}),
    "nsf": ("masked-mlp", {"hidden": [24], "direct": False}, {"transform": "spline", "layers": 3}),
    "nice": ("mlp", {"hidden": [24]}, {"transform": "additive", "coupling": True}),
    "affine coupling": ("mlp", {"hidden": [24]}, {"transform": "affine", "coupling": True}),
    "spline coupling": ("mlp", {"hidden": [24]}, {"transform": "spline", "coupling": True}),
}
POINTS = Field("points", (5,), centre=(1.0, -2.0, 0.0, 3.0, 0.5), scale=(0.5, 2.0, 1.0, 0.1, 4.0))
PLANE = Field("points", (2,), centre=(1.5, -4.0), scale=(0.5, 2.0))
IMAGE = Field("image", (1, 3, 4))
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


def flow(kind, field=POINTS, dtype=torch.float64, conditional=False, **settings):
    torch.manual_seed(0)
    name, sizes, own = KINDS[kind]
    spec = DataSpec({"x": field, "label": Field("label", size=3)})
    found = VectorFlow(spec, network=lab.network(name, **sizes), conditional=conditional, **own | settings)
    for parameter in found.parameters():  # larger than at the start, so that nothing is hidden
        parameter.data += 0.1 * torch.randn_like(parameter)
    return found.to(dtype).eval().requires_grad_(False)


def examples(field, count, dtype=torch.float64):
    torch.manual_seed(1)
    if field.kind == "image":
        return torch.randint(256, (count, *field.shape)).to(dtype) / 255
    centre, scale = torch.tensor(field.centre, dtype=dtype), torch.tensor(field.scale, dtype=dtype)
    return centre + scale * torch.randn(count, *field.shape, dtype=dtype)


def grid():
    """Points all over the plane, and the area that each stands for."""
    along = torch.linspace(-8, 8, 301, dtype=torch.float64)
    centre, scale = torch.tensor(PLANE.centre), torch.tensor(PLANE.scale)
    return centre + scale * torch.cartesian_prod(along, along), (along[1] - along[0]).item() ** 2 * scale.prod().item()


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_inverse_leads_back(kind, conditional, dtype):
    """From data to noise and back, and from noise to data and back; in units of the data's standard deviation."""
    found, x = flow(kind, dtype=dtype, conditional=conditional), examples(POINTS, 20, dtype)
    condition = {"label": torch.arange(20) % 3} if conditional else None

    def apart(one, other):
        return ((one - other) / found.unit.scale).abs().max()

    z = found.encode(x, condition)
    rounding = apart(found.decode(z * (1 + torch.finfo(dtype).eps), condition), found.decode(z, condition))
    assert apart(found.reconstruct(x, condition), x) < max(TOLERANCE[dtype], 2 * rounding)
    z = found.prior(20)
    assert (found.encode(found.decode(z, condition), condition) - z).abs().max() < 10 * TOLERANCE[dtype]


@pytest.mark.parametrize("kind", KINDS)
def test_log_prob_is_that_of_the_jacobian(kind):
    found, x = flow(kind, conditional=True), examples(POINTS, 4)
    for row in range(4):
        condition = {"label": torch.tensor([row % 3])}
        jacobian = torch.autograd.functional.jacobian(lambda y, c=condition: found.encode(y[None], c)[0], x[row])
        normal = torch.distributions.Normal(0.0, 1.0).log_prob(found.encode(x[row][None], condition)).sum()
        wanted = normal + torch.linalg.slogdet(jacobian).logabsdet
        torch.testing.assert_close(found.log_prob(x[row][None], condition)[0], wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_the_density_of_a_plane_integrates_to_one(kind):
    found = flow(kind, PLANE)
    x, cell = grid()
    assert found.log_prob(x).exp().sum().item() * cell == pytest.approx(1, abs=1e-2)


@pytest.mark.parametrize("kind", ["maf", "nsf"])
def test_every_entry_counts_and_each_depends_on_all(kind):
    """Orders alternate, so that after two layers no entry is left out; without that a flow would be a single layer."""
    found, x = flow(kind), examples(POINTS, 1)[0]
    jacobian = torch.autograd.functional.jacobian(lambda y: found.encode(y[None])[0], x)
    assert (jacobian.abs() > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_images_come_back(kind):
    for dtype, tolerance in TOLERANCE.items():
        x = examples(IMAGE, 30, dtype)
        x[0], x[1] = 0, 1
        torch.testing.assert_close(flow(kind, IMAGE, dtype).reconstruct(x), x, rtol=0, atol=3 * tolerance)


def test_samples_of_binary_images_are_binary():
    x = flow("nice", Field("image", (1, 3, 4), levels=2)).sample(20)
    assert set(x.unique().tolist()) == {0.0, 1.0}


def test_bits_are_those_of_the_discrete_image():
    """One pixel of four values: probabilities, averaged over the noise, sum to 1."""
    found = flow("maf", Field("image", (1, 1, 1), levels=4))
    count, values = 100_000, torch.linspace(0, 1, 4, dtype=torch.float64)
    noise = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    total = sum(float(found.nats(v.expand(count, 1, 1, 1), None, noise.view(-1, 1, 1, 1)).exp().mean()) for v in values)
    assert total == pytest.approx(1, abs=1e-4)
    assert found.bits_per_dim(torch.tensor(-math.log(4.0))).item() == pytest.approx(2)


def test_variational_noise_gives_a_bound_that_learning_tightens():
    """Two pixels of four values: log P(x), integrated over uniform noise, against the means over learned noise."""
    field = Field("image", (1, 1, 2), levels=4)
    plain, found = flow("maf", field), flow("maf", field, dequantisation="variational")
    found.load_state_dict(plain.state_dict(), strict=False)  # p is the same
    middles = (torch.arange(120, dtype=torch.float64) + 0.5) / 120
    noise = torch.cartesian_prod(middles, middles).view(-1, 1, 1, 2)
    for image in itertools.product((1 / 3, 2 / 3), repeat=2):
        x = torch.tensor(image, dtype=torch.float64).expand(len(noise), 1, 1, 2)
        exact = plain.nats(x, None, noise).exp().mean()
        nats = found.nats(x, None, noise)
        torch.testing.assert_close(nats.exp().mean(), exact, rtol=1e-3, atol=0)  # E_q p / q
        assert nats.mean() < exact.log()
    before = nats.mean()
    found.noise.requires_grad_(True)
    optimizer = torch.optim.Adam(found.noise.parameters(), 1e-2)
    for _ in range(60):
        loss = -found.nats(x[:64], None, torch.rand(64, 1, 1, 2, dtype=torch.float64)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found.requires_grad_(False)
    after, uniform = found.nats(x, None, noise).mean(), plain.nats(x, None, noise).mean()
    assert max(before, uniform) < after < exact.log()


def test_a_flow_that_does_nothing_has_the_density_of_logits():
    """log p is then that of N(0, 1) at stretched logits, in closed form."""
    found, u = flow("maf", IMAGE), torch.rand(1, 1, 3, 4, dtype=torch.float64)
    for parameter in found.parameters():
        parameter.data.zero_()
    x = examples(IMAGE, 1)
    p = 1e-6 + (1 - 2e-6) * (x * 255 + u) / 256
    y = found.pixels.scale * torch.logit(p)
    slope = found.pixels.scale * (1 - 2e-6) / (p * (1 - p)) / 256
    wanted = (torch.distributions.Normal(0.0, 1.0).log_prob(y) + slope.log()).sum()
    torch.testing.assert_close(found.nats(x, None, u)[0], wanted, rtol=1e-9, atol=1e-9)


def test_samples_follow_the_density():
    """Mean of log p over samples against the integral of p log p on a grid."""
    found = flow("nsf", PLANE)
    torch.manual_seed(2)
    drawn = found.log_prob(found.sample(20_000)).mean().item()
    x, cell = grid()
    nats = found.log_prob(x)
    assert drawn == pytest.approx((nats.exp() * nats).sum().item() * cell, abs=0.03)


def test_a_short_training_finds_a_density():
    """A ring of Gaussians, 1.5 nats from a normal distribution at the start, comes within 0.3 nats of its entropy."""
    torch.manual_seed(0)
    source = Ring(deviation=0.1)
    spec = source.spec
    network = lab.network("masked-mlp", hidden=[32, 32], direct=False)
    found = VectorFlow(spec, network=network, transform="spline", layers=3)
    optimizer = torch.optim.Adam(found.parameters(), 5e-3)
    x = source.open("train")[0].load()["x"]
    for step in range(200):
        (update,) = found.training_step(Batch({"x": x[step * 200 : step * 200 + 200]}, seed=step), step)
        optimizer.zero_grad()
        update.loss.backward()
        optimizer.step()
    held = source.open("validation")[0].load()["x"]
    with torch.no_grad():
        assert (source.log_density(held) - found.log_prob(held)).mean().item() < 0.3


def test_refusals():
    spec = DataSpec({"x": Field("points", (1,))})
    masked, mlp = lab.network("masked-mlp"), lab.network("mlp")
    with pytest.raises(ValueError, match=r"model\.coupling=true: .*model=nsf"):
        VectorFlow(spec, network=mlp, coupling=True)
    with pytest.raises(ValueError, match=r"network=mlp: makes no autoregressive network.*masked-mlp"):
        VectorFlow(spec, network=mlp)
    with pytest.raises(ValueError, match=r"network=masked-mlp: makes no encoder.*mlp"):
        VectorFlow(DataSpec({"x": POINTS}), network=masked, coupling=True)
    with pytest.raises(ValueError, match=r"model\.alpha=0\.5.*model\.alpha=1e-6"):
        VectorFlow(spec, network=masked, alpha=0.5)
    with pytest.raises(ValueError, match=r"model\.dequantisation=variational: .*model\.dequantisation=uniform"):
        VectorFlow(spec, network=masked, dequantisation="variational")
    with pytest.raises(ValueError, match=r"network\.orderings=3: .*network\.orderings=1.*model=made"):
        VectorFlow(spec, network=lab.network("masked-mlp", orderings=3))
    with pytest.raises(ValueError, match=r"sampling\.temperature=0"):
        flow("nsf").sample(2, temperature=0)
