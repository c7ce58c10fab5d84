"""A package of one's own brings a model, a dataset, a metric and configs, and a broken one says so in one line."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from genlab.commands.completion import candidates
from genlab.config.check import locate
from genlab.metrics import catalogue
from genlab.runs import provenance
from genlab.system import plugins

EXAMPLE = Path(__file__).parent.parent / "plugin_example"


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """A folder with the example as pip installs it."""
    source, target = tmp_path_factory.mktemp("source") / "example", tmp_path_factory.mktemp("site")
    shutil.copytree(EXAMPLE, source)
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
    subprocess.run([sys.executable, "-m", "pip", "install", *offline, "--target", target, source], check=True)
    return target


@pytest.fixture
def installed(built, tmp_path, monkeypatch):
    """A folder with a copy of the example, installed into this process until the test ends."""
    site = shutil.copytree(built, tmp_path.parent / f"{tmp_path.name}-site")
    monkeypatch.syspath_prepend(str(site))
    before = [(table, dict(table)) for table in (catalogue.METRICS, catalogue.FUNCTIONS)]
    plugins.installed.cache_clear()
    yield site
    plugins.installed.cache_clear()
    for table, content in before:  # in place: others hold these dicts
        table.clear()
        table.update(content)
    for name in [name for name in sys.modules if name.partition(".")[0] == "genlab_mine"]:
        del sys.modules[name]


def test_an_installed_package_is_trained_and_measured_by_its_own_metric(built, tmp_path):
    paths = os.pathsep.join([str(built), str(Path(plugins.__file__).parents[2])])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "genlab", "train", "experiment=mine-quick", "device=cpu", "device.threads=1"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (run,) = tmp_path.glob("outputs/mine-bars/*")
    status = json.loads((run / "status.json").read_text())
    assert status["status"] == "finished" and set(status["final"]) == {"validation/error", "evaluation/edge_error"}
    assert status["directions"]["evaluation/edge_error"] == "min"


def test_help_and_completion_offer_its_configs_without_importing_it(installed, genlab):
    assert "mine" in genlab("train", "--help").out and "bars" in genlab("train", "--help").out
    assert candidates("genlab train model=mi") == ["model=mine"]
    assert candidates("genlab train network=l") == ["network=linear"]
    assert candidates("genlab train model=mine model.") == ["model.latent_dim="]
    assert "genlab_mine" not in sys.modules


def test_help_explains_its_keys(installed, genlab):
    outcome = genlab("train", "model=mine", "dataset=bars", "--help")
    assert outcome.code == 0 and "network=linear: " in outcome.out
    for key, comment in (("model.latent_dim=", "latent"), ("dataset.size=", "pixels")):
        assert re.search(f"  {key}.*{comment}", outcome.out), outcome.out


def test_a_list_marks_what_it_brings_and_names_what_is_broken(installed, genlab):
    assert "genlab-mine" in genlab("list", "models").out and "edges" in genlab("list", "metrics").out
    (installed / "genlab_mine/network.py").write_text("from genlab import nothing")
    outcome = genlab("list", "networks")
    assert outcome.code == 0 and "cannot be imported" in outcome.out and "mlp" in outcome.out


def test_a_sweep_finds_its_configs(installed, genlab):
    quick = ["dataset=bars", "trainer.max_steps=2", "trainer.batch_size=8", "device.threads=1", "device=cpu"]
    outcome = genlab("train", "-m", "model=mine", "seed=0,1", *quick, "logger.tensorboard=false")
    assert outcome.code == 0, outcome.err
    assert "2 of 2 jobs finished" in outcome.out


QUICK = ["dataset=bars", "trainer.max_steps=4", "trainer.log_every=2", "trainer.validate_every=2"]
QUICK += ["trainer.batch_size=8", "device=cpu", "device.threads=1"]


def test_its_loggers_and_callbacks_are_chosen_by_name(installed, genlab, tmp_path):
    chosen = ["logger=csv,text-log", "callbacks=[target]", "callbacks.target.at_most=1e3"]
    chosen.append("callbacks.text_log.file=a.txt")
    outcome = genlab("train", "model=mine", *QUICK, *chosen, "hydra.run.dir=run")
    assert outcome.code == 0, outcome.err
    run = tmp_path / "run"
    status = json.loads((run / "status.json").read_text())
    assert status["step"] == 2 and "validation/error is at most" in status["reason"]
    assert "2 train/loss" in (run / "a.txt").read_text() and (run / "metrics.csv").is_file()
    refusal = genlab("resume", "run=run", "trainer.max_steps=6", "callbacks.target.at_most=0")
    assert refusal.code == 2 and "callbacks.target.at_most" in refusal.err


def test_a_run_with_its_callbacks_is_used_without_it_but_not_resumed(installed, genlab, tiny, monkeypatch):
    chosen = ["callbacks=[target]", "callbacks.target.metric=mse", "logger=text-log"]
    assert genlab("train", *tiny, *chosen, "trainer.max_steps=2", "hydra.run.dir=run").code == 0
    with monkeypatch.context() as patch:
        patch.setattr(plugins, "installed", lambda: ())
        assert genlab("sample", "run=run", "num_samples=2", "device=cpu").code == 0
        outcome = genlab("resume", "run=run", "trainer.max_steps=4")
    assert outcome.code == 2 and "genlab_mine.callbacks.Target" in outcome.err


@pytest.mark.parametrize(
    "arguments, parts",
    [
        (["callbacks=[targt]"], ["callbacks=[targt]", "'target'"]),
        (["callbacks=[target]", "callbacks.target.at_mst=3"], ["callbacks.target.at_mst", "'at_most'"]),
        (["callbacks=[target]", "callbacks.target.at_most=x"], ["callbacks.target.at_most", "a number"]),
        (["logger=csv,text-lg"], ["logger=[csv,text-lg]", "'text-log'"]),
    ],
)
def test_mistakes_in_its_callbacks_are_explained(arguments, parts, installed, refused):
    line = refused("train", "model=mine", "dataset=bars", *arguments)
    assert all(part in line for part in parts)


def test_a_callback_without_its_package_line_is_told(installed, refused):
    file = installed / "genlab_mine/configs/callbacks/target.yaml"
    file.write_text(file.read_text().partition("\n")[2])
    assert "# @package callbacks.NAME" in refused("train", "model=mine", "dataset=bars", "callbacks=[target]")


def test_mistakes_in_its_settings_are_explained(installed, refused):
    line = refused("train", "model=mine", "model.latent_dm=3", "dataset=bars", "dataset.size=x", problems=2)
    assert "latent_dim" in line and "dataset.size" in line


def test_code_of_other_packages_stays_out(installed, refused):
    line = refused("train", "model=mine", "model._target_=json.decoder.JSONDecoder")
    assert "json.decoder.JSONDecoder" in line and "genlab_mine" in line


def test_a_package_that_cannot_be_imported_is_named_and_stops_no_other_work(installed, refused, genlab):
    (installed / "genlab_mine/model.py").write_text("import no_such_library")
    line = refused("train", "model=mine", "dataset=bars")
    for part in ("plugin mine", "package genlab-mine", "ModuleNotFoundError", "no_such_library", "pip uninstall"):
        assert part in line
    assert genlab("train", "--cfg", "job").code == 0
    assert "requires a" in refused("train", "model=cyclegan", "dataset=digits")


def test_metrics_of_a_broken_package_are_needed_only_when_asked_for(installed):
    (installed / "genlab_mine/metrics.py").write_text("1 / 0")
    assert list(catalogue.unknown(["reconstruction"])) == []
    with pytest.raises(ValueError, match=r"plugin mine .*ZeroDivisionError"):
        list(catalogue.unknown(["edges"]))


def test_a_metric_or_a_value_keeps_its_name(installed):
    file = installed / "genlab_mine/metrics.py"
    honest = file.read_text()
    for old, new in (('"edges"', '"frechet"'), ('"edge_error"', '"mse"')):
        sys.modules.pop("genlab_mine.metrics", None)
        file.write_text(honest.replace(old, new))
        (problem,) = catalogue.add_plugins()
        assert "plugin mine" in problem and "names of their own" in problem
        assert "edges" not in catalogue.known()


def test_configs_with_the_name_of_one_of_genlabs_are_left_out(installed, refused, genlab):
    (installed / "genlab_mine/configs/model/vae.yaml").write_text("model: {}")
    outcome = genlab("train", "--cfg", "job")
    assert outcome.code == 0 and len(outcome.lines) == 1
    for part in ("plugin mine", "configs/model/vae.yaml", "rename it"):
        assert part in outcome.err
    assert "dataset=bars: plugin mine" in refused("train", "dataset=bars", problems=2)


def test_a_module_that_leaves_is_a_broken_one(installed, refused, genlab):
    (installed / "genlab_mine/model.py").write_text("import sys; sys.exit(3)")
    line = refused("train", "model=mine", "dataset=bars")
    assert "plugin mine" in line and "SystemExit: 3" in line
    outcome = genlab("list", "models")
    assert outcome.code == 0 and "SystemExit" in outcome.out and "vae" in outcome.out


def test_an_invalid_config_stops_no_other_work(installed, refused, genlab):
    (installed / "genlab_mine/configs/dataset/bars.yaml").write_text("a: [1")
    outcome = genlab("list", "datasets")
    assert outcome.code == 0 and "plugin mine" in outcome.out and "digits" in outcome.out
    assert "requires" in refused("train", "model=cyclegan", "dataset=digits")


@pytest.mark.parametrize("content", ["", "# nothing", "a: [1", "- 1", "3", "size: 3", "_target_: genlab_mine.no.No"])
def test_an_invalid_config_is_named_where_it_is_used(installed, refused, content):
    (installed / "genlab_mine/configs/dataset/bars.yaml").write_text(content)
    line = refused("train", "dataset=bars")
    assert ("genlab_mine.no.No" if "_target_" in content else "plugin mine") in line


def test_only_the_package_of_the_entry_point_is_trusted(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    for file in ("whole/__init__.py", "whole/plugin.py", "space/mine.py", "space/other.py", "space/team/__init__.py"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("raise RuntimeError")  # nothing is imported to find out
    homes = {
        "whole": "whole",
        "whole.plugin": "whole",
        "space.mine": "space.mine",
        "space.team": "space.team",
        "space.team.plugin": "space.team",
        "absent.plugin": "absent.plugin",
    }
    for module, home in homes.items():
        assert plugins.Plugin("name", module, "distribution").home == home
    monkeypatch.setattr(plugins, "installed", lambda: (plugins.Plugin("name", "space.mine", "distribution"),))
    with pytest.raises(ValueError, match="outside the trusted"):
        locate("model", "space.other.Model")


def test_a_program_is_never_imported(installed):
    (installed / "genlab_mine/__main__.py").write_text("raise AssertionError")
    for target in ("genlab_mine.__main__.M", "genlab.__main__.M", "__main__.M"):
        with pytest.raises(ValueError, match="program"):
            locate("model", target)


def test_an_abstract_class_is_refused():
    with pytest.raises(ValueError, match="must be a Source") as refusal:
        locate("dataset", "genlab.data.source.Source")
    assert "abstract" in str(refusal.value) and "\n" not in str(refusal.value)


def test_another_version_of_a_plugin_is_noticed(installed, monkeypatch, caplog):
    monkeypatch.setattr(provenance, "fingerprint", lambda train: {"examples": 4})
    first = provenance.environment(torch.device("cpu"), None)
    assert first["packages"]["genlab-mine"] == "0.1"
    (metadata,) = installed.glob("genlab_mine-*/METADATA")
    metadata.write_text(metadata.read_text().replace("Version: 0.1", "Version: 0.2"))
    later = provenance.environment(torch.device("cpu"), None)
    provenance.resumed(first, later)
    assert "genlab-mine 0.1 then, 0.2 now" in caplog.text
    caplog.clear()
    del first["packages"]["genlab-mine"]
    provenance.resumed(first, later)
    assert not caplog.text


def test_a_class_that_is_not_there_is_no_broken_package(installed):
    for target in ("genlab_mine.model.Nothing", "genlab_mine.nothing.Nothing"):
        with pytest.raises(ValueError, match="no such class"):
            locate("model", target)
