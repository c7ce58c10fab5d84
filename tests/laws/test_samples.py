"""Images have the promised shape, range and dtype, follow from their seed, and survive being saved."""

from functools import cache

import lab
import pytest
import torch

from genlab.inference.load import load
from genlab.inference.run import Run
from genlab.system.seeding import seeded
from genlab.training.inference import inference, preview, validate

SETTINGS = ["trainer.batch_size=32", "trainer.max_steps=3", "trainer.ema=0.9", "trainer.validate_every=2"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A short run of a model, made once for all laws of this file: trainer, config, data spec and folder."""

    @cache
    def make(model):
        folder = tmp_path_factory.mktemp(model)
        config = lab.compose(model, *SETTINGS)
        source = lab.RandomExamples(lab.model_class(config))
        trainer = lab.with_files(lab.trainer(config, source), config, source.spec, folder)
        trainer.fit()
        return trainer, config, source.spec, folder

    return make


def images_of(model, data, validation, seed):
    """What the model makes, by capability, as a function of `seed`."""
    made, batch = {}, next(validation.in_order(limit=6))
    with torch.no_grad(), seeded(seed):
        if hasattr(model, "sample"):
            label = torch.arange(6) % data.num_classes if "label" in model.requires else None
            made["sample"] = model.sample(6, label=label)
        if hasattr(model, "translate"):
            for to, other in zip(data.domains, reversed(data.domains), strict=True):
                made[f"translate to {to}"] = model.translate(batch[other], to)
        if hasattr(model, "reconstruct"):
            made["reconstruct"] = model.reconstruct(batch["x"])
    return made


@pytest.mark.parametrize("model", lab.MODELS)
def test_images_keep_their_promise(model, trained):
    trainer, _, data, _ = trained(model)
    with inference(trainer):
        made = images_of(trainer.model, data, trainer.validation_loader, seed=5)
        again = images_of(trainer.model, data, trainer.validation_loader, seed=5)
        other = images_of(trainer.model, data, trainer.validation_loader, seed=6)
    assert made, "a generative model must sample, translate or reconstruct"
    for name, images in made.items():
        assert images.shape == (6, *data.shape), name
        assert images.dtype == torch.get_default_dtype(), name
        assert images.min() >= 0 and images.max() <= 1, name
        assert images.std() > 0, name
    assert not list(lab.differences(made, again)), "a seed gives its images"
    assert "sample" not in made or not torch.equal(made["sample"], other["sample"]), "another seed gives others"


@pytest.mark.parametrize("model", lab.MODELS)
def test_previews_are_grids_of_images(model, trained):
    trainer, _, data, _ = trained(model)
    grids = preview(trainer)
    assert grids
    for name, grid in grids.items():
        assert grid.dim() == 5 and grid.shape[2:] == data.shape, name
        assert grid.dtype == torch.float32 and grid.min() >= 0 and grid.max() <= 1, name
    assert not list(lab.differences(grids, preview(trainer))), "a fixed batch gives fixed noise"


@pytest.mark.parametrize("model", lab.MODELS)
def test_validation_scalars_are_finite_and_ranked(model, trained):
    trainer, *_ = trained(model)
    measured = validate(trainer)
    assert all(torch.isfinite(torch.tensor(value)) for value in measured.values())
    assert measured == validate(trainer)
    assert set(trainer.model.metrics.values()) <= {"min", "max"}


@pytest.mark.parametrize("model", lab.MODELS)
def test_latents_decode_to_reconstructions(model, trained):
    trainer, *_ = trained(model)
    network = trainer.model.eval()
    if not hasattr(network, "encode"):
        assert not hasattr(network, "reconstruct"), "who reconstructs can say from what"
        return
    x = next(trainer.validation_loader.in_order(limit=6))["x"]
    with torch.no_grad():
        z = network.encode(x)
        assert len(z) == 6 and z.isfinite().all()
        assert torch.equal(network.decode(z), network.reconstruct(x))


@pytest.mark.parametrize("model", lab.MODELS)
def test_saved_and_loaded_draws_the_same(model, trained):
    trainer, config, data, folder = trained(model)
    loaded = load(str(folder), lab.CPU)
    assert (loaded.step, loaded.folder, loaded.data) == (3, folder, data)
    assert not loaded.model.training and not any(p.requires_grad for p in loaded.model.parameters())
    with inference(trainer):
        live = Run(folder, 3, config, data, trainer.model, lab.CPU)
        expected = images_of(trainer.model, data, trainer.validation_loader, seed=1)
        assert not list(lab.differences(expected, images_of(loaded.model, data, trainer.validation_loader, seed=1)))
        if hasattr(trainer.model, "sample"):
            ((images, labels),) = loaded.draw(7, seed=2)
            ((again, same_labels),) = live.draw(7, seed=2)
            assert images.shape == (7, *data.shape) and torch.equal(images, again)
            assert (labels is None) == ("label" not in trainer.model.requires)
            assert labels is None or torch.equal(labels, same_labels)
        else:
            with pytest.raises(ValueError, match="cannot sample, it can"):
                loaded.sample(7, seed=2)


@pytest.mark.parametrize("model", lab.MODELS)
def test_samples_are_decoded_draws_from_the_prior(model, trained):
    trainer, _, data, _ = trained(model)
    network = trainer.model.eval()
    if not hasattr(network, "prior"):
        return
    label = torch.arange(9) % data.num_classes if "label" in network.requires else None
    with torch.no_grad(), seeded(3):
        samples = network.sample(9, label=label)
    with torch.no_grad(), seeded(3):
        z = network.prior(9)
        decoded = network.decode(z) if label is None else network.decode(z, label=label)
    assert torch.equal(samples, decoded)
    with seeded(3):
        assert network.prior(500, truncation=0.5).abs().max() <= 0.5 < z.abs().max()
