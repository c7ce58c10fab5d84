"""Autoregressive models against their definition: probabilities sum to 1, dependence is ordered, sampling is plain."""

import itertools

import lab
import pytest
import torch

from genlab.contract.data import DataSpec, Field
from genlab.models.autoregressive import Autoregressive
from genlab.networks.autoregressive import AutoregressiveNet

NETWORKS = {
    "fvsbn": ("masked-mlp", {"hidden": []}),
    "made": ("masked-mlp", {"hidden": [50, 40]}),
    "made without direct connections": ("masked-mlp", {"hidden": [30], "direct": False}),
    "made in three orders": ("masked-mlp", {"hidden": [30], "orderings": 3}),
    "made in a random order": ("masked-mlp", {"hidden": [30], "shuffled": True}),
    "pixelcnn": ("pixelcnn", {"channels": 4, "layers": 2, "kernel": 5}),
    "row lstm": ("row-lstm", {"channels": 4, "layers": 2}),
    "diagonal lstm": ("diagonal-lstm", {"channels": 12, "layers": 2}),
    "gated pixelcnn": ("gated-pixelcnn", {"channels": 12, "layers": 3, "first_kernel": 5}),
}
SHAPES = [(1, 3, 4), (3, 3, 4)]


def model(network, shape=(1, 3, 3), levels=2, conditional=False, **settings):
    torch.manual_seed(0)
    name, sizes = NETWORKS[network]
    spec = DataSpec({"x": Field("image", shape, levels=levels), "label": Field("label", size=3)})
    found = Autoregressive(spec, network=lab.network(name, **sizes), conditional=conditional, **settings)
    for parameter in found.parameters():  # larger than at the start, so that nothing is hidden
        parameter.data += 0.3 * torch.randn_like(parameter)
    return found.double().eval().requires_grad_(False)


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("network", NETWORKS)
def test_probabilities_of_all_images_sum_to_one(network, conditional):
    images = torch.tensor(list(itertools.product((0.0, 1.0), repeat=9)), dtype=torch.float64).view(-1, 1, 3, 3)
    condition = {"label": torch.full((len(images),), 2)} if conditional else None
    assert model(network, conditional=conditional).log_prob(images, condition).exp().sum().item() == pytest.approx(1)


@pytest.mark.parametrize("likelihood", ["categorical", "logistics"])
def test_probabilities_of_images_of_several_values_sum_to_one(likelihood):
    values = torch.linspace(0, 1, 4, dtype=torch.float64).tolist()
    images = torch.tensor(list(itertools.product(values, repeat=4)), dtype=torch.float64).view(-1, 1, 2, 2)
    found = model("gated pixelcnn", (1, 2, 2), levels=4, likelihood=likelihood, mixtures=2)
    assert found.log_prob(images).exp().sum().item() == pytest.approx(1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("network", NETWORKS)
def test_an_output_depends_on_the_entries_before_it_alone(network, shape):
    net = model(network, shape).network
    x = torch.rand(1, *shape, dtype=torch.float64)
    for number in range(net.orderings):
        several = {"ordering": number} if net.orderings > 1 else {}

        def outputs(x, several=several):
            return net(x, **several)[:, 0].flatten()

        order = net.order(number)
        matrix = torch.autograd.functional.jacobian(outputs, x).flatten(1)[order][:, order]
        assert matrix.triu().abs().max() == 0
        assert (matrix.tril(-1) != 0).sum() > 0.9 * len(order) * (len(order) - 1) / 2


def test_the_order_is_that_of_a_text():
    """Rows from the top, in a row from the left, the channels of a pixel one after another: of 2 x 1 x 2 entries."""
    assert AutoregressiveNet((2, 1, 2), 1).order().tolist() == [0, 2, 1, 3]


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("network", NETWORKS)
def test_sampling_with_memory_is_plain_sampling(network, shape, conditional, monkeypatch):
    found = model(network, shape, conditional=conditional)
    noise = torch.rand(5, len(found.network.order()), 2, dtype=torch.float64)
    condition = {"label": torch.tensor([0, 1, 2, 0, 1])} if conditional else None
    quick = found.drawn(noise, condition)
    monkeypatch.setattr(type(found.network), "entries", AutoregressiveNet.entries)
    assert torch.equal(quick, found.drawn(noise, condition))


@pytest.mark.parametrize("likelihood", ["bernoulli", "categorical", "logistics"])
def test_samples_have_the_probabilities_of_the_model(likelihood):
    """One pixel: shares of 20,000 samples against exp log_prob."""
    levels = 2 if likelihood == "bernoulli" else 5
    found = model("fvsbn", (1, 1, 1), levels=levels, likelihood=likelihood, mixtures=2)
    torch.manual_seed(1)
    x = found.sample(20_000).flatten()
    values = torch.linspace(0, 1, levels, dtype=torch.float64)
    shares = torch.stack([(x - value).abs().lt(1e-6).double().mean() for value in values])
    wanted = found.log_prob(values.view(-1, 1, 1, 1)).exp()
    torch.testing.assert_close(shares, wanted, atol=0.015, rtol=0)


@pytest.mark.parametrize("network", [name for name in NETWORKS if "random" not in name])
def test_completions_keep_the_first_rows_and_follow_the_model(network):
    """The rest of two kept rows of 3x3 binary images, against the conditional probabilities of all eight."""
    found = model(network)
    ends = torch.tensor(list(itertools.product((0.0, 1.0), repeat=3)), dtype=torch.float64).view(-1, 1, 1, 3)
    above = torch.tensor([[0.0, 1, 1], [1, 0, 1]], dtype=torch.float64).view(1, 1, 2, 3)
    whole = torch.cat([above.expand(8, -1, -1, -1), ends], 2)
    torch.manual_seed(2)
    x = found.complete(whole[:1].repeat(4000, 1, 1, 1) * 0.9 + 0.04, 2)
    assert torch.equal(x[:, :, :2], above.expand(4000, -1, -1, -1))
    shares = torch.stack([(x[:, :, 2:] == end).flatten(1).all(1).double().mean() for end in ends])
    in_text_order = found.nats(whole, None).softmax(0)
    torch.testing.assert_close(shares, in_text_order, atol=0.03, rtol=0)


def test_refusals():
    grey = DataSpec({"x": Field("image", (1, 8, 8))})
    network = lab.network("masked-mlp")
    with pytest.raises(ValueError, match=r"model\.likelihood=bernoulli: .*dataset\.binarize=dynamic"):
        Autoregressive(grey, network=network)
    with pytest.raises(ValueError, match=r"network=mlp: makes no autoregressive network.*masked-mlp"):
        Autoregressive(grey, network=lab.network("mlp"), likelihood="categorical")
    with pytest.raises(ValueError, match=r"sampling\.temperature=0"):
        model("fvsbn").sample(2, temperature=0)
    with pytest.raises(ValueError, match=r"sampling\.temperature=0"):
        model("fvsbn").complete(torch.zeros(2, 1, 3, 3).double(), 1, temperature=0)
    with pytest.raises(ValueError, match=r"network\.shuffled=true"):
        model("made in a random order").complete(torch.zeros(2, 1, 3, 3).double(), 1)
