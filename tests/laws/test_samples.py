"""Examples have the promised shape, range and dtype, follow from their seed, and survive being saved."""

from functools import cache

import lab
import pytest
import torch

from genlab.inference.conditioning import Conditioning
from genlab.inference.load import load
from genlab.inference.run import Run
from genlab.system.seeding import seeded
from genlab.training.inference import inference, preview, validate

SETTINGS = ["trainer.batch_size=32", "trainer.max_steps=3", "trainer.ema=0.9", "trainer.validate_every=2"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A short run of a case, made once for all laws of this file: trainer, config, data spec and folder."""

    @cache
    def make(case):
        folder = tmp_path_factory.mktemp(case)
        config = lab.compose(case, *SETTINGS)
        source = lab.examples(config)
        trainer = lab.with_files(lab.trainer(config, source), config, source.spec, folder)
        trainer.fit()
        return trainer, config, source.spec, folder

    return make


def examples_of(model, data, validation, seed):
    """What the model makes, by capability, as a function of `seed`."""
    made, batch = {}, next(validation.in_order(limit=6))
    with torch.no_grad(), seeded(seed):
        if hasattr(model, "sample"):
            made["sample"] = model.sample(6, *model.given(model.condition(batch)))
        if hasattr(model, "translate"):
            for to in model.targets:
                (origin,) = set(data.domains) - {to}
                made[f"translate to {to}"] = model.translate(batch[origin], to)
        if hasattr(model, "reconstruct"):
            made["reconstruct"] = model.reconstruct(batch["x"], *model.given(model.condition(batch)))
    return made


@pytest.mark.parametrize("case", lab.CASES)
def test_examples_keep_their_promise(case, trained):
    trainer, _, data, _ = trained(case)
    with inference(trainer):
        made = examples_of(trainer.model, data, trainer.validation_loader, seed=5)
        again = examples_of(trainer.model, data, trainer.validation_loader, seed=5)
        other = examples_of(trainer.model, data, trainer.validation_loader, seed=6)
    assert made, "a generative model must sample, translate or reconstruct"
    for name, x in made.items():
        assert x.shape == (6, *data[name[-1] if "translate" in name else "x"].shape), name
        assert x.dtype == torch.get_default_dtype(), name
        assert lab.in_range(x, data), name
        assert x.std() > 0, name
    assert not list(lab.differences(made, again)), "a seed gives its examples"
    assert "sample" not in made or not torch.equal(made["sample"], other["sample"]), "another seed gives others"


@pytest.mark.parametrize("case", lab.CASES)
def test_previews_are_grids_of_examples(case, trained):
    trainer, _, data, _ = trained(case)
    grids, repeated = preview(trainer), preview(trainer)
    assert grids
    for name, grid in grids.items():
        x, again = grid.examples, repeated[name]
        assert x.shape[2:] in {data[domain].shape for domain in data.domains}, name
        assert x.dtype == torch.float32 and lab.in_range(x, data), name
        assert torch.equal(x, again.examples) and grid.rows == again.rows, "a fixed batch gives fixed noise"
        assert len(grid.rows) <= len(x) and len(grid.columns) <= x.shape[1], name


@pytest.mark.parametrize("case", lab.CASES)
def test_validation_scalars_are_finite_and_ranked(case, trained):
    trainer, *_ = trained(case)
    measured = validate(trainer)
    assert all(torch.isfinite(torch.tensor(value)) for value in measured.values())
    assert measured == validate(trainer)
    assert set(trainer.model.metrics.values()) <= {"min", "max"}


@pytest.mark.parametrize("case", lab.CASES)
def test_latents_decode_to_reconstructions(case, trained):
    trainer, *_ = trained(case)
    network = trainer.model.eval()
    if not hasattr(network, "encode"):
        assert not hasattr(network, "reconstruct"), "who reconstructs can say from what"
        return
    batch = next(trainer.validation_loader.in_order(limit=6))
    given = network.given(network.condition(batch))
    with torch.no_grad():
        z = network.encode(batch["x"], *given)
        assert len(z) == 6 and z.isfinite().all()
        if hasattr(network, "reconstruct"):
            assert torch.equal(network.decode(z, *given), network.reconstruct(batch["x"], *given))


@pytest.mark.parametrize("case", lab.CASES)
def test_saved_and_loaded_draws_the_same(case, trained):
    trainer, config, data, folder = trained(case)
    loaded = load(str(folder), lab.CPU, memory_format=config.device.memory_format)
    assert (loaded.step, loaded.folder, loaded.data) == (3, folder, data)
    assert not loaded.model.training and not any(p.requires_grad for p in loaded.model.parameters())
    with inference(trainer):
        live = Run(folder, 3, config, data, trainer.model, lab.CPU)
        expected = examples_of(trainer.model, data, trainer.validation_loader, seed=1)
        assert not list(lab.differences(expected, examples_of(loaded.model, data, trainer.validation_loader, seed=1)))
        if hasattr(trainer.model, "sample"):
            ((x, condition),) = loaded.draw(7, seed=2)
            ((again, same_condition),) = live.draw(7, seed=2)
            assert x.shape == (7, *data.shape) and torch.equal(x, again)
            assert set(condition) == set(trainer.model.conditions)
            assert not list(lab.differences(condition, same_condition))
        else:
            with pytest.raises(ValueError, match="cannot sample, it can"):
                loaded.sample(7, seed=2)


@pytest.mark.parametrize("case", lab.CASES)
def test_a_condition_that_a_model_does_not_have_is_refused(case, trained):
    trainer, config, data, folder = trained(case)
    run = Run(folder, 3, config, data, trainer.model, lab.CPU)
    for name in {"weather", "label"} - set(run.model.conditions) if run.can("sample") else ():
        with pytest.raises(ValueError, match=rf"condition\.{name}=1"):
            run.sample(2, condition={name: 1})


@pytest.mark.parametrize("case", lab.CASES)
def test_samples_are_decoded_draws_from_the_prior(case, trained):
    trainer, *_ = trained(case)
    network = trainer.model.eval()
    if not hasattr(network, "prior") or "sample" in network.noisy:
        return
    given = network.given(Conditioning(network, case).varied(9))
    with torch.no_grad(), seeded(3):
        samples = network.sample(9, *given)
    with torch.no_grad(), seeded(3):
        assert torch.equal(samples, network.decode(network.prior(9), *given))
