"""One batch of real pictures can be learnt by heart: the first metric that ranks the model improves severalfold."""

import lab
import pytest

from genlab.training.schedule import Constant

PICTURES = 16
STEPS = 150
SIZES = {
    "hidden": [64],
    "channels": 8,
    "max_channels": 16,
    "width": 8,
    "discriminator_width": 8,
    "blocks": 1,
    "latent_dim": 8,
}
SHARE_LEFT = 0.75
"""Of the distance from perfect, at most this must be left."""


@pytest.mark.parametrize("model", lab.MODELS)
def test_one_batch_can_be_overfitted(model, monkeypatch):
    monkeypatch.setattr(lab, "SMALL_NETWORK", SIZES)
    config = lab.compose(
        model,
        *lab.small_data(f"model={model}"),
        f"trainer.batch_size={PICTURES}",
        f"trainer.max_steps={STEPS}",
    )
    trainer = lab.trainer(config, lab.OneBatch(lab.default_source(config), PICTURES))
    trainer.schedule = Constant()
    before = trainer.validate()
    lab.run_steps(trainer, STEPS)
    after = trainer.validate()
    ranked = [name for name in trainer.model.metrics if name in after]
    assert ranked, "a model must declare a metric that its own default dataset lets it measure"
    sign = 1 if trainer.model.metrics[ranked[0]] == "min" else -1
    assert sign * after[ranked[0]] < SHARE_LEFT * sign * before[ranked[0]], (ranked[0], before, after)
