"""One batch of real examples can be learnt by heart, and every player can win where the others stand still."""

from types import SimpleNamespace

import lab
import pytest
import torch
from representatives import REPRESENTATIVE_CASES, structure

from genlab.config.build import build_source
from genlab.config.options import class_of
from genlab.data.source import ArrayExamples
from genlab.training.inference import validate
from genlab.training.schedule import Constant

EXAMPLES = 16
SIZES = {"hidden": [64], "channels": 8, "max_channels": 16, "width": 4, "discriminator_width": 4, "blocks": 1}
SIZES |= {"latent_dim": 8, "layers": 2, "levels": 2, "widths": [8, 16], "steps": 2, "patches": 32}
SHARE_LEFT = 0.75
"""Of the distance from perfect, at most this must be left."""

ROUNDS = 30

# Without pairs, nothing in a few examples says which translation is the true one: there is no batch to learn by heart.
UNPAIRED = [case for case in lab.CASES if class_of("model", lab.model_of(case)).requires & {"a", "pairs"} == {"a"}]

LEARNT = [case for case in lab.CASES if case not in UNPAIRED]

GAMES = [case for case in REPRESENTATIVE_CASES if structure(case).players > 1]


def one_batch(source):
    """The first validation examples of `source`, for training and for validation."""
    tables = [ArrayExamples(**table.rows(torch.arange(EXAMPLES))) for table in source.open("validation")]
    sizes = {"train": EXAMPLES, "validation": EXAMPLES}
    return SimpleNamespace(spec=source.spec, sizes=sizes, open=lambda split: tables, redrawn=None)


@pytest.fixture
def trainer_on_one_batch(monkeypatch):
    """The model on the first examples of its own default dataset, at its own full learning rates."""
    monkeypatch.setattr(lab, "SMALL_NETWORK", SIZES)

    def make(case):
        sizes = [f"trainer.batch_size={EXAMPLES}", "trainer.max_steps=1000", "trainer.ema=null"]
        config = lab.compose(case, *lab.small_data(*lab.choices_of(case)), *sizes)
        trainer = lab.trainer(config, one_batch(build_source(config.dataset)))
        trainer.schedule = Constant()
        return trainer

    return make


@pytest.mark.parametrize("case", LEARNT)
def test_one_batch_can_be_overfitted(case, trainer_on_one_batch):
    """The first metric that ranks the model improves, sooner or later: a game on few dimensions swings at first."""
    trainer = trainer_on_one_batch(case)
    before = validate(trainer)
    ranked = [name for name in trainer.model.metrics if name in before]
    assert ranked, "a model must declare a metric that its own default dataset lets it measure"
    sign = 1 if trainer.model.metrics[ranked[0]] == "min" else -1
    for _ in range(ROUNDS):
        lab.run_steps(trainer, 25)
        after = validate(trainer)
        if sign * after[ranked[0]] < SHARE_LEFT * sign * before[ranked[0]]:
            return
    raise AssertionError((ranked[0], before, after))


@pytest.mark.parametrize("case", UNPAIRED)
def test_one_batch_without_pairs_can_be_translated_back(case, trainer_on_one_batch):
    """What has no true answer has at least a way back: the first scalar of validation, an error, falls."""
    trainer = trainer_on_one_batch(case)
    before = validate(trainer)
    for _ in range(6):
        lab.run_steps(trainer, 10)
        name, error = next(iter(validate(trainer).items()))
        if error < SHARE_LEFT * before[name]:
            return
    raise AssertionError((name, before, error))


@pytest.mark.representative
@pytest.mark.parametrize("case", GAMES)
def test_every_player_lowers_its_loss_where_the_others_stand_still(case, trainer_on_one_batch):
    """In a game both losses cannot fall; against players that do not answer each of them must. The others have learned
    before, as a loss may need what they know: InfoGAN's generator needs one who can read its codes."""
    for player in trainer_on_one_batch(case).optimization.parameters:
        trainer = trainer_on_one_batch(case)
        full = {name: [5 * rate for rate in rates] for name, rates in trainer.optimization.base_rates.items()}
        batches = trainer.train_loader.batches(EXAMPLES)

        def learn(*players, trainer=trainer, full=full, batches=batches):
            for name, rates in full.items():
                trainer.optimization.base_rates[name] = rates if name in players else [0.0] * len(rates)
            for _ in range(5):
                trainer.train_step(next(batches))
            return trainer.log_row()

        for _ in range(4):
            learn(*(full.keys() - {player}))
        losses = [learn(player)[f"train/{player}/loss"] for _ in range(8)]
        assert losses[-1] < losses[0] - 0.1 * abs(losses[0]), (player, losses)
