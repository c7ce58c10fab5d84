"""Whole runs: one config gives one result to the bit, another seed another result."""

import json

import lab
import pytest
from representatives import REPRESENTATIVE_CASES

from genlab.checkpoints import file as checkpoint
from genlab.checkpoints.folder import RunFolder
from genlab.runs.train import train


@pytest.mark.representative
@pytest.mark.parametrize("case", REPRESENTATIVE_CASES)
def test_the_seed_decides(case, tmp_path):
    settings = [
        *lab.small_data(*lab.choices_of(case)),
        "trainer.max_steps=3",
        "trainer.batch_size=16",
        "trainer.log_every=2",
        "trainer.ema=0.9",
    ]
    states, metrics = {}, {}
    for name, seed in (("first", 0), ("again", 0), ("other", 1)):
        config = lab.compose(case, *settings, f"seed={seed}")
        final = train(config, RunFolder(tmp_path / name))
        states[name] = checkpoint.load(tmp_path / name / "checkpoints/last.safetensors")
        metrics[name] = (tmp_path / name / "metrics.jsonl").read_text()
        status = json.loads((tmp_path / name / "status.json").read_text())
        assert status["status"] == "finished" and status["final"] == final
    assert not list(lab.differences(states["first"], states["again"]))
    assert metrics["first"] == metrics["again"] != metrics["other"]
    weights, others = states["first"]["model"], states["other"]["model"]
    assert lab.moved(weights, others) >= {
        name for name in weights if name.endswith("weight") and weights[name].dim() > 1
    }
