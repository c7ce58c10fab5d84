"""In every precision and memory format a model trains, and says about the same on its first step."""

from functools import cache

import lab
import pytest
import torch
from representatives import REPRESENTATIVE_CASES

from genlab.system.device import allow_reduced_precision_matmul, autocast
from genlab.training.inference import preview

SETTINGS = {
    "fast-fp32": ["device.precision=fast-fp32"],
    "bf16": ["device.precision=bf16"],
    "bf16, channels last": ["device.precision=bf16", "device.memory_format=channels_last"],
    "channels last": ["device.memory_format=channels_last"],
}


@pytest.fixture(autouse=True)
def full_precision_afterwards():
    yield
    allow_reduced_precision_matmul(False)


def first_row(case, *settings):
    trainer = lab.trainer(lab.compose(case, "trainer.batch_size=16", "trainer.log_every=3", *settings))
    allow_reduced_precision_matmul("device.precision=fast-fp32" in settings)
    lab.run_steps(trainer, 3)
    return trainer, trainer.log_row()


@pytest.fixture(scope="module")
def full_precision():
    """The first row of a case in float32, made once for all settings."""
    return cache(lambda case: first_row(case)[1])


@pytest.mark.representative
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=list(SETTINGS))
@pytest.mark.parametrize("case", REPRESENTATIVE_CASES)
def test_losses_are_about_those_of_full_precision(case, settings, full_precision):
    expected = full_precision(case)
    trainer, row = first_row(case, *settings)
    assert row.keys() == expected.keys()
    for name in expected:
        if name.endswith("/loss"):
            assert row[name] == pytest.approx(expected[name], rel=0.05, abs=0.02)
    assert all(parameter.dtype == torch.float32 for parameter in trainer.model.parameters())
    for name, grid in preview(trainer).items():
        assert lab.in_range(grid.examples, trainer.model.data), name


def test_networks_run_in_the_precision_asked_for():
    network, x = torch.nn.Linear(4, 4), torch.rand(2, 4)
    found = {}
    for precision in ("fp32", "fast-fp32", "bf16", "fp16"):
        with autocast(lab.CPU, precision):
            found[precision] = network(x).dtype
    assert list(found.values()) == [torch.float32, torch.float32, torch.bfloat16, torch.float16]


def test_factors_are_shortened_only_while_asked_for():
    for short, on_cpu, on_gpu in ((True, "bf16", True), (False, "ieee", False)):
        allow_reduced_precision_matmul(short)
        assert torch.backends.mkldnn.matmul.fp32_precision == torch.backends.mkldnn.conv.fp32_precision == on_cpu
        assert torch.backends.cudnn.allow_tf32 is torch.backends.cuda.matmul.allow_tf32 is on_gpu
