"""What a model's author got wrong is named, and an error in a model's file says where it is."""

import pytest
import torch
from torch import nn

from genlab.cli import main
from genlab.contract.data import image_spec
from genlab.contract.model import GenerativeModel, Update
from genlab.runs.rules import broken_rules


class Sound(GenerativeModel):
    """A model that breaks no rule; subclasses break one each."""

    averaged = ("net",)
    metrics = {"error": "min"}

    def __init__(self, data):
        super().__init__(data)
        self.net, self.other = nn.Linear(2, 2), nn.Linear(2, 2)

    def players(self):
        return {"generator": self.net, "discriminator": self.other}

    def sample(self, num_samples, condition=None, *, code=None):
        return torch.zeros(num_samples)


class WithoutPlayer(Sound):
    def players(self):
        return {"generator": self.net}


class WithTwoPlayers(Sound):
    def players(self):
        return {"generator": self, "discriminator": self.other}


class WithoutChild(Sound):
    averaged = ("nett",)


class WithoutDirection(Sound):
    metrics = {"error": "maximum"}


class OptionByPosition(Sound):
    def sample(self, num_samples, condition=None, code=None):
        return torch.zeros(num_samples)


class WithoutCondition(Sound):
    conditions = ("label",)

    def encode(self, x):
        return x


@pytest.mark.parametrize(
    "kind, words",
    [
        (Sound, None),
        (WithoutPlayer, ["other.weight", "requires_grad"]),
        (WithTwoPlayers, ["other.weight", "several"]),
        (WithoutChild, ["nett", "net, other"]),
        (WithoutDirection, ["maximum", "min or max"]),
        (OptionByPosition, ["sample", "*, code"]),
        (WithoutCondition, ["encode", "condition=None"]),
    ],
)
def test_a_broken_rule_is_named(kind, words):
    lines = list(broken_rules(kind(image_spec((1, 8, 8), num_classes=3))))
    assert len(lines) == (words is not None)
    assert all(line.startswith(kind.__name__) and all(word in line for word in words) for line in lines)


def test_a_loss_is_a_scalar():
    with pytest.raises(ValueError, match=r"generator.*\[3\].*mean"):
        Update("generator", torch.zeros(3))


@pytest.mark.parametrize(
    "method, words",
    [
        ("training_step", ["matrix", "(ValueError in models/ae.py:2, training_step)"]),
        ("evaluate", ["matrix", "(TypeError in models/ae.py:2, evaluate)"]),
    ],
)
def test_an_error_in_a_model_says_where_it_is(method, words, tmp_path, monkeypatch, capsys):
    """As in a file of an author's own, the code stands in a folder of models."""
    error = words[1][1:].partition(" ")[0]
    code = compile(f"def {method}(self, *given):\n    raise {error}('a matrix')", "/somewhere/models/ae.py", "exec")
    found = {}
    exec(code, found)
    monkeypatch.setattr("genlab.models.ae.AE." + method, found[method])
    with pytest.raises(SystemExit) as stopped:
        main(["train", "model=ae", "experiment=quick", f"hydra.run.dir={tmp_path / 'run'}"])
    first = next(line for line in capsys.readouterr().err.splitlines() if line.startswith("genlab: "))
    assert stopped.value.code == 1
    assert all(word in first for word in words)
