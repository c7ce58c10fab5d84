"""Runs that earlier versions stored are resumed and used."""

import json

import lab
import pytest
from genlab.config.earlier import brought_up
from omegaconf import OmegaConf

from genlab.checkpoints import file as checkpoint
from genlab.cli import main
from genlab.runs.check import check


@pytest.mark.parametrize("width, widths", [(256, [256]), (0, []), ([8, 8], [8, 8])])
def test_a_width_becomes_a_list_of_widths(width, widths):
    config = brought_up({"device": {}, "model": {"dense": width}})
    assert config.model.dense == widths


def test_keys_that_came_later_are_off():
    stored = OmegaConf.to_container(lab.compose("vae"))
    for key in ("cuda_graph", "keep_memory"):
        del stored["device"][key]
    config = brought_up(stored)
    assert config.device.cuda_graph is config.device.keep_memory is False
    check(config, None)


def test_a_run_of_an_earlier_version_goes_on(tmp_path):
    def genlab(*arguments) -> int:
        with pytest.raises(SystemExit) as stop:
            main(list(arguments))
        return stop.value.code

    settings = [*lab.QUIET, *lab.small_network("gan"), "model=gan", "trainer.batch_size=8", "trainer.max_steps=2"]
    assert genlab("train", *settings, "model.dense=[8]", f"hydra.run.dir={tmp_path / 'run'}") == 0
    for path in (tmp_path / "run/checkpoints").glob("*.pt"):
        state = checkpoint.load(path)
        del state["format"], state["config"]["device"]["cuda_graph"], state["config"]["device"]["keep_memory"]
        state["config"]["model"]["dense"] = 8
        checkpoint.save(state, path)
    (tmp_path / "run/config.yaml").unlink()
    assert genlab("resume", f"run={tmp_path / 'run'}", "trainer.max_steps=4", "device.keep_memory=false") == 0
    assert json.loads((tmp_path / "run/status.json").read_text())["step"] == 4
    assert genlab("sample", f"run={tmp_path / 'run'}", "num_samples=2", "device.precision=bf16") == 0
    assert next((tmp_path / "run/samples").iterdir()).name.startswith("step_0000004-bf16")
