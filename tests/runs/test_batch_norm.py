"""Batch normalization over one row is refused by its key before data are read."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from genlab.config.compose import compose_job, register
from genlab.contract.data import image_spec
from genlab.contract.model import GenerativeModel, Update
from genlab.runs.batch_norm import batch_norm_problem


class Normalized(GenerativeModel):
    """A model of one layer, whose step looks at no values unless it is `curious`."""

    def __init__(self, data, layer: nn.Module, curious: bool = False):
        super().__init__(data)
        self.layer, self.curious = layer, curious

    def training_step(self, batch, step):
        x = batch["x"] + batch.randn(*batch["x"].shape[1:])
        if self.curious:
            x = x * x.mean().item()
        yield Update("model", self.layer(x).mean())


FLAT = lambda: nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64))  # noqa: E731
POINT = lambda: nn.Sequential(nn.Conv2d(1, 2, 8), nn.BatchNorm2d(2))  # noqa: E731
PLANE = lambda: nn.BatchNorm2d(1)  # noqa: E731

CASES = {
    "a batch of one": (FLAT, {"batch_size": 1}, {}, "trainer.batch_size=1"),
    "a micro-batch of one": (FLAT, {"batch_size": 8}, {"micro_batch": 1}, "device.micro_batch=1"),
    "one pixel is left": (POINT, {"batch_size": 1}, {}, "trainer.batch_size=1"),
    "many pixels": (PLANE, {"batch_size": 1}, {}, None),
    "two rows": (FLAT, {"batch_size": 2}, {}, None),
    "a micro-batch above the batch": (FLAT, {"batch_size": 1}, {"micro_batch": 8}, "trainer.batch_size=1"),
    "two processes share their statistics": (FLAT, {"batch_size": 2}, {"processes": 2, "micro_batch": 1}, None),
    "no batch norm": (lambda: nn.LayerNorm(8), {"batch_size": 1}, {}, None),
}


@pytest.fixture(scope="module")
def config():
    register()
    return compose_job([]).config


@pytest.mark.parametrize("case", CASES)
def test_one_row_is_refused_by_its_key(case, config):
    layer, trainer, device, key = CASES[case]
    asked = replace(config, trainer=replace(config.trainer, **trainer), device=replace(config.device, **device))
    with torch.device("meta"):
        model = Normalized(image_spec((1, 8, 8)), layer())
    problem = batch_norm_problem(asked, model, model.data)
    assert (problem or "").partition(":")[0] == (key or "")


def test_a_step_that_looks_at_values_is_not_judged(config):
    asked = replace(config, trainer=replace(config.trainer, batch_size=1))
    with torch.device("meta"):
        model = Normalized(image_spec((1, 8, 8)), FLAT(), curious=True)
    assert batch_norm_problem(asked, model, model.data) is None
