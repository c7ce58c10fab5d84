"""One batch of real images can be learnt by heart, and every player can win where the others stand still."""

from types import SimpleNamespace

import lab
import pytest
import torch
from representatives import REPRESENTATIVES, structure

from genlab.config.build import build_source
from genlab.data.source import ArrayExamples
from genlab.training.inference import validate
from genlab.training.schedule import Constant

IMAGES = 16
SIZES = {"hidden": [64], "channels": 8, "max_channels": 16, "width": 4, "discriminator_width": 4, "blocks": 1}
SIZES |= {"latent_dim": 8}
SHARE_LEFT = 0.75
"""Of the distance from perfect, at most this must be left."""

# Without pairs, nothing in a few images says which translation is the true one: there is no batch to learn by heart.
PAIRED = [model for model in lab.MODELS if "pairs" in structure(model)[1] or not {"a", "b"} <= structure(model)[1]]

GAMES = [model for model in REPRESENTATIVES if structure(model)[0] > 1]


def one_batch(source):
    """The first validation examples of `source`, for training and for validation."""
    tables = [ArrayExamples(**table.rows(torch.arange(IMAGES))) for table in source.open("validation")]
    sizes = {"train": IMAGES, "validation": IMAGES}
    return SimpleNamespace(spec=source.spec, sizes=sizes, open=lambda split: tables)


@pytest.fixture
def trainer_on_one_batch(monkeypatch):
    """The model on the first images of its own default dataset, at its own full learning rates."""
    monkeypatch.setattr(lab, "SMALL_NETWORK", SIZES)

    def make(model):
        sizes = [f"trainer.batch_size={IMAGES}", "trainer.max_steps=1000", "trainer.ema=null"]
        config = lab.compose(model, *lab.small_data(f"model={model}"), *sizes)
        trainer = lab.trainer(config, one_batch(build_source(config.dataset)))
        trainer.schedule = Constant()
        return trainer

    return make


@pytest.mark.parametrize("model", PAIRED)
def test_one_batch_can_be_overfitted(model, trainer_on_one_batch):
    """The first metric that ranks the model improves."""
    trainer = trainer_on_one_batch(model)
    before = validate(trainer)
    lab.run_steps(trainer, 150)
    after = validate(trainer)
    ranked = [name for name in trainer.model.metrics if name in after]
    assert ranked, "a model must declare a metric that its own default dataset lets it measure"
    sign = 1 if trainer.model.metrics[ranked[0]] == "min" else -1
    assert sign * after[ranked[0]] < SHARE_LEFT * sign * before[ranked[0]], (ranked[0], before, after)


@pytest.mark.parametrize("model", [model for model in lab.MODELS if model not in PAIRED])
def test_one_batch_without_pairs_can_be_translated_back(model, trainer_on_one_batch):
    """What has no true answer has at least a way back: the first scalar of validation, an error, falls."""
    trainer = trainer_on_one_batch(model)
    before = validate(trainer)
    lab.run_steps(trainer, 60)
    name, error = next(iter(validate(trainer).items()))
    assert error < SHARE_LEFT * before[name], (name, before, error)


@pytest.mark.representative
@pytest.mark.parametrize("model", GAMES)
def test_every_player_lowers_its_loss_where_the_others_stand_still(model, trainer_on_one_batch):
    """In a game both losses cannot fall; against players that do not answer each of them must."""
    for player in trainer_on_one_batch(model).optimization.parameters:
        trainer = trainer_on_one_batch(model)
        for other, rates in trainer.optimization.base_rates.items():
            trainer.optimization.base_rates[other] = [5 * rate if other == player else 0.0 for rate in rates]
        losses = []
        batches = trainer.train_loader.batches(IMAGES)
        for _ in range(8):
            for _ in range(5):
                trainer.train_step(next(batches))
            losses.append(trainer.log_row()[f"train/{player}/loss"])
        assert losses[-1] < losses[0] - 0.1 * abs(losses[0]), (player, losses)
