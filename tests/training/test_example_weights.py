"""A model that weights its examples, from batch to batch, resumes to the bit."""

from itertools import chain

import lab
import pytest
import torch
from torch import nn

from genlab.checkpoints import file as checkpoint
from genlab.contract.model import GenerativeModel, Update
from genlab.training.state import load_state_dict, state_dict

STEPS, SEEN = 11, []


class Fussy(GenerativeModel):
    """Learns the mean image; looks most at the examples that are far from it."""

    def __init__(self, data):
        super().__init__(data)
        self.mean = nn.Parameter(torch.zeros(data.shape))
        self.register_buffer("example_weights", torch.ones(data.num_examples))

    def training_step(self, batch, step):
        errors = (batch["x"] - self.mean).square().flatten(1).mean(1)
        SEEN.append(batch["index"].tolist())
        self.example_weights[batch["index"]] = errors.detach() ** 8
        yield Update("model", errors.mean())

    def evaluate(self, batch):
        return {"error": (batch["x"] - self.mean).square().mean()}


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """Makes trainers of a `Fussy` model: 96 examples, 32 a step."""
    config = lab.compose("vae", "trainer.batch_size=32", f"trainer.max_steps={STEPS}", "trainer.ema=null")
    source = lab.RandomExamples(Fussy)

    def make(name):
        monkeypatch.setattr(lab, "build_model", lambda config, data: Fussy(data))
        return lab.with_files(lab.trainer(config, source), config, source.spec, tmp_path / name)

    return make, tmp_path


@pytest.mark.parametrize("stop", [1, 3, 5, 6, 10])
def test_weighted_training_resumes_to_the_bit(stop, fresh):
    """In the middle of an epoch of three steps, and at its border."""
    make, folder = fresh
    SEEN.clear()
    (whole := make("whole")).fit()
    expected = list(SEEN)
    assert sorted(chain.from_iterable(expected[:3])) == list(range(96)), "at first all weights are equal"
    assert all(len(set(chain.from_iterable(expected[first : first + 3]))) < 96 for first in (3, 6))
    SEEN.clear()
    saved = checkpoint.load(folder / f"whole/checkpoints/step_{stop:07d}.safetensors")
    load_state_dict(resumed := make("resumed"), saved)
    resumed.fit()
    assert expected[stop:] == SEEN
    assert not list(lab.differences(state_dict(whole), state_dict(resumed)))
