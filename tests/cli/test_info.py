"""`genlab info` says what a run is and how it stands, from its files alone, and writes nothing."""

import json
import shutil

import pytest

import genlab as package
from genlab.checkpoints import status


@pytest.fixture
def info(genlab, trained, tmp_path):
    """`info(**changes)`: the lines by label, of a copy of a finished run with other entries in its status.json."""
    run = shutil.copytree(trained[1], tmp_path / "run")

    def ask(**changes):
        entry = json.loads((run / "status.json").read_text()) | changes
        (run / "status.json").write_text(json.dumps(entry))
        before = sorted(tmp_path.rglob("*"))
        outcome = genlab("info", f"run={run}")
        assert outcome.code == 0 and not outcome.err, outcome.err
        assert sorted(tmp_path.rglob("*")) == before
        lines, label = {}, ""
        for line in outcome.out.splitlines():
            label = line[:10].strip() or label
            lines[label] = lines.get(label, "") + line[11:] + "\n"
        return lines

    ask.run = run
    return ask


def test_a_finished_run(info):
    lines = info()
    assert lines["model"].startswith("vae: Variational autoencoder") and "latent_dim=3" in lines["model"]
    assert lines["network"].startswith("mlp: ") and "hidden=[16]" in lines["network"]
    assert lines["dataset"].startswith("digits: ") and "1x16x16" in lines["data"] and "10" in lines["data"]
    assert "finished" in lines["status"] and "step 30 of 30" in lines["status"] and "validation/elbo" in lines["metric"]
    assert f"genlab {package.__version__}" in lines["version"] and "last.safetensors" in lines["saved"]
    assert all(name in lines["files"] for name in ("config.yaml", "checkpoints/", "KiB"))
    assert f"genlab sample run={info.run}" in lines["next"]


def test_parameters_are_counted_by_network(info):
    counts = [int(line.split()[0].replace(",", "")) for line in info()["parameters"].splitlines()]
    model = package.load(info.run).model
    assert counts[0] == sum(weight.numel() for weight in model.parameters()) == sum(counts[1:])


def test_a_run_in_training_and_a_killed_one(info, monkeypatch):
    running = {"status": "running", "step": 10, "max_steps": 130, "steps_per_second": 0.5, "seconds_left": 240}
    lines = info(**running)
    assert "killed" in lines["status"] and f"genlab resume run={info.run}" in lines["next"]
    monkeypatch.setattr(status, "is_locked", lambda folder: True)
    lines = info(**running)
    assert "running" in lines["status"] and "step 10 of 130" in lines["status"] and "4 min left" in lines["status"]


def test_a_run_that_diverged_is_not_resumed_as_it_is(info):
    diverged = {"status": "failed", "reason": "train/loss became nan at step 7. Lower optimizer.lr"}
    lines = info(**diverged)
    assert "diverge again" in lines["note"]
    assert lines["next"] == "genlab train model=vae dataset=digits optimizer.lr=0.0002 device.precision=fp32\n" or (
        lines["next"] == "genlab train model=vae dataset=digits optimizer.lr=0.0002\n"  # without fast bf16
    )
    record = json.loads((info.run / "environment.json").read_text())
    command = ["genlab", "train", "model=vae", "optimizer.lr=0.002", "hydra.run.dir=a", "dataset.size=20"]
    (info.run / "environment.json").write_text(json.dumps(record | {"command": command}))
    assert info()["next"].startswith("genlab train model=vae dataset.size=20 optimizer.lr=0.0002")
    assert "genlab resume" in info(reason="No space left on device")["next"]


def test_a_run_without_a_checkpoint_or_a_status(info):
    shutil.rmtree(info.run / "checkpoints")
    lines = info(status="interrupted", alarms=[{"kind": "collapse", "step": 7}])
    assert "no checkpoint" in lines["saved"] and "parameters" not in lines and "collapse" in lines["alarm"]
    (info.run / "status.json").unlink()
    (info.run / "status.json").write_text("{}")
    assert "unknown" in info()["status"]


def test_text_of_a_stranger_is_made_harmless(info):
    assert "\x1b" not in str(info(reason="\x1b[2J", final={"\x1b[31m": 1.0}))


def test_what_is_no_run_is_refused(refused, tmp_path):
    assert all(part in refused("info", f"run={tmp_path}") for part in (f"run={tmp_path}", "no run", "genlab train"))
    assert "run=: is empty" in refused("info", "run=")
    assert "run=latest" in refused("info")
