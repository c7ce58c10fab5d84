"""Diffusion models: what guidance means, that noise and data belong together, and what is refused."""

from typing import get_args

import lab
import pytest
import torch

from genlab.contract.data import Batch, DataSpec, Field, image_spec
from genlab.diffusion.paths import PathName, PredictionName
from genlab.diffusion.samplers import SamplerName
from genlab.models.diffusion import Diffusion

SPEC = image_spec((1, 8, 8), num_classes=3)
SIZES = {"denoising-unet": {"widths": [8, 8]}, "dit": {"width": 16, "layers": 1, "heads": 2}, "mlp": {"hidden": [16]}}


def model(spec=SPEC, network="denoising-unet", **settings):
    torch.manual_seed(0)
    found = Diffusion(spec, network=lab.network(network, **SIZES[network]), **settings)
    for parameter in found.parameters():  # larger than at the start, where outputs are 0
        parameter.data += 0.1 * torch.randn_like(parameter)
    return found.double().eval().requires_grad_(False)


def labels(*numbers):
    return {"label": torch.tensor(numbers)}


@pytest.mark.parametrize("network", ["denoising-unet", "dit"])
def test_guidance_goes_from_the_unconditional_model_to_the_conditional_one_and_beyond(network):
    found, t = model(network=network), 0.5
    x = torch.randn(2, 1, 8, 8, dtype=torch.float64)

    def x0(condition, guidance):
        return found.denoiser(condition, guidance, x)(x, t)[0]

    untold, told = x0(None, 1.0), x0(labels(1, 2), 1.0)
    assert not torch.allclose(untold, told)
    torch.testing.assert_close(x0(labels(1, 2), 0.0), untold)
    torch.testing.assert_close(x0(labels(1, 2), 1.0), told)
    torch.testing.assert_close(x0(labels(1, 2), 3.0), untold + 3 * (told - untold))


COMBINED = [(path, prediction) for path in get_args(PathName) for prediction in get_args(PredictionName)]


@pytest.mark.parametrize("path, prediction", COMBINED)
def test_all_that_combines_gives_finite_samples_and_noise(path, prediction):
    """From pure noise to data, and from data to noise, where a path knows nothing of either."""
    if (path, prediction) == ("rectified", "noise"):
        with pytest.raises(ValueError, match=r"model\.prediction=noise: .*velocity"):
            model(path=path, prediction=prediction)
        return
    found = model(path=path, prediction=prediction, steps=3)
    for sampler in get_args(SamplerName):
        assert found.sample(2, sampler=sampler).isfinite().all()
    assert found.encode(torch.rand(2, 1, 8, 8).double()).isfinite().all()


@pytest.mark.parametrize("path", ["rectified", "cosine"])
def test_noise_leads_to_data_and_back(path):
    """Points, which are not clamped; the error is that of the steps."""
    spec = DataSpec({"x": Field("points", (2,), centre=(1.0, 2.0), scale=(3.0, 0.5))})
    found = model(spec, "mlp", path=path, steps=300)
    torch.manual_seed(1)
    z = found.prior(6)
    torch.testing.assert_close(found.encode(found.decode(z)), z, atol=0.02, rtol=0)


def test_times_are_stratified_over_the_whole_batch():
    """Each of four rows has a quarter of the time for itself, also where a batch is split."""
    seen = []
    found = model(times="uniform")
    found.network.register_forward_hook(lambda module, given, output: seen.append(given[1]))
    batch = Batch({"x": torch.rand(4, 1, 8, 8).double(), **labels(0, 1, 2, 0)}, seed=3)
    for part in batch.split(2):
        list(found.training_step(part, 0))
    assert (torch.cat(seen) * 4).floor().tolist() == [0, 1, 2, 3]


def test_labels_are_dropped_as_often_as_asked_for():
    given = []
    found = model(label_dropout=0.3)
    found.network.register_forward_hook(lambda module, inputs, output: given.append(inputs[2]))
    list(found.training_step(Batch({"x": torch.rand(2000, 1, 8, 8).double(), "label": torch.ones(2000).long()}, 0), 0))
    assert set(given[0].sum(1).tolist()) == {0.0, 2.0}  # the class and that there is one, or neither
    assert abs((given[0].sum(1) == 0).double().mean() - 0.3) < 0.03


def test_refusals():
    with pytest.raises(ValueError, match=r"sampling\.sampler=hean: .*heun"):
        model().sample(1, sampler="hean")
    with pytest.raises(ValueError, match=r"sampling\.steps"):
        model().sample(1, steps=0)
    with pytest.raises(ValueError, match=r"sampling\.eta=1\.5: must lie in \[0, 1\]"):
        model().sample(1, eta=1.5)
    with pytest.raises(ValueError, match=r"model\.eta=-1: must lie in \[0, 1\]"):
        model(eta=-1)
    with pytest.raises(ValueError, match=r"model\.label_dropout=1"):
        model(label_dropout=1)
    with pytest.raises(ValueError, match=r"network=conv: makes no denoisers; .*denoising-unet, dit, mlp"):
        Diffusion(SPEC, network=lab.network("conv"))
    with pytest.raises(ValueError, match=r"network\.width=30"):
        lab.network("dit", width=30)
