"""`device.compile=true` changes how fast networks run, and nothing else. Minutes: `scripts/test -m slow tests/laws`."""

import shutil

import lab
import pytest

from genlab.training.inference import preview
from genlab.training.state import load_state_dict

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++"))), reason="torch.compile needs a C++ compiler"),
]

STEPS = 4


@pytest.mark.parametrize("model", lab.MODELS)
def test_compiled_networks_train_resume_and_paint(model):
    settings = ["trainer.batch_size=16", f"trainer.log_every={STEPS}"]
    plain = lab.trainer(lab.compose(model, *settings))
    config = lab.compose(model, *settings, "device.compile=true")
    compiled, resumed = lab.trainer(config), lab.trainer(config)
    for trainer in (plain, compiled):
        lab.run_steps(trainer, STEPS)
    state = compiled.state_dict()
    assert state["model"].keys() == plain.state_dict()["model"].keys()
    row = compiled.log_row(keep=True)
    assert row == pytest.approx(plain.log_row(), rel=0.02, abs=0.02)

    resumed.load_state_dict(lab.snapshot(state))
    assert not list(lab.differences(resumed.state_dict(), state))
    images = compiled.preview()
    for trainer in (resumed, plain):
        load_state_dict(trainer, lab.snapshot(state))
        for name, grid in preview(trainer).items():
            assert (grid - images[name]).abs().max() < 1e-3
