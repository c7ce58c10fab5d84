"""`device.compile=true` changes how fast networks run, and nothing else. Minutes: `scripts/test -m slow tests/laws`."""

import shutil

import lab
import pytest
import torch

from genlab.training.inference import preview, validate
from genlab.training.state import load_state_dict, state_dict

needs_a_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("g++", "clang++"))), reason="torch.compile needs a C++ compiler"
)

STEPS = 4


@pytest.mark.slow
@needs_a_compiler
@pytest.mark.parametrize("case", lab.CASES)
def test_compiled_networks_train_resume_and_paint(case):
    settings = ["trainer.batch_size=16", f"trainer.log_every={STEPS}"]
    plain = lab.trainer(lab.compose(case, *settings))
    config = lab.compose(case, *settings, "device.compile=true")
    compiled, resumed = lab.trainer(config), lab.trainer(config)
    for trainer in (plain, compiled):
        lab.run_steps(trainer, STEPS)
    state = state_dict(compiled)
    assert state["model"].keys() == state_dict(plain)["model"].keys()
    row = compiled.log_row(keep=True)
    assert row == pytest.approx(plain.log_row(), rel=0.02, abs=0.02)

    load_state_dict(resumed, lab.snapshot(state))
    assert not list(lab.differences(state_dict(resumed), state))
    images = preview(compiled)
    for trainer in (resumed, plain):
        load_state_dict(trainer, lab.snapshot(state))
        for name, grid in preview(trainer).items():
            assert (grid.examples - images[name].examples).abs().max() < 1e-3


def test_cuda_graphs_are_of_single_steps_and_of_training_alone(monkeypatch):
    """What a GPU would do, without one: the compiler counts its calls, and the steps that it is told of."""
    calls = []
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: calls.append("step"))
    trainer = lab.trainer(lab.compose("vae", "trainer.batch_size=16"))
    plain = validate(trainer)
    for network in (trainer.model.encoder, trainer.model.decoder):
        network.compile(backend=lambda graph, inputs: lambda *values: calls.append("call") or graph(*values))
    trainer.optimization.records_graphs = True
    assert validate(trainer) == plain and not calls
    lab.run_steps(trainer, 2)
    assert calls == ["step", "call", "call"] * 2
    validate(trainer)
    assert len(calls) == 6
