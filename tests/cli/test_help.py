"""Help and completion answer at once: they import neither torch nor Hydra."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields

import lab
import pytest
import yaml

from genlab import __version__
from genlab.commands.completion import candidates
from genlab.commands.pages import help_page
from genlab.config.commands import COMMANDS
from genlab.config.paths import options
from genlab.contract.limits import limits_of
from genlab.contract.settings import TrainConfig

DEVICE_KEYS = (
    "name",
    "index",
    "precision",
    "memory_format",
    "memory_budget",
    "threads",
    "keep_memory",
    "spin",
    "deterministic",
)
"""What a command that uses a run heeds of `device`."""

PRECISIONS = limits_of(TrainConfig, "device.precision").choices


def test_usage_lists_every_command(genlab):
    for arguments in ([], ["--help"], ["-h"], ["help"]):
        outcome = genlab(*arguments)
        assert outcome.code == 0 and not outcome.err
        for name, command in COMMANDS.items():
            assert f"  {name} " in outcome.out and command.summary in outcome.out
    assert genlab("--version").out.strip() == __version__


def test_every_command_explains_itself(genlab):
    for command in COMMANDS:
        outcome = genlab(command, "--help")
        assert genlab(command, "-h") == outcome
        assert outcome.code == 0 and not outcome.err
        assert outcome.out.startswith(f"usage: genlab {command}")
        assert f"  genlab {command} " in outcome.out, "an example"
        assert "{" not in outcome.out, "nothing is left to fill in"
        assert max(map(len, outcome.out.splitlines())) <= 100


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"train"}))
def test_every_key_of_a_command_is_explained(command):
    explained = set(re.findall(r"^  ([a-z_, ]+?)(?:  |\n)", help_page(command), re.MULTILINE))
    names = {name for words in explained for name in words.split(", ")}
    assert {field.name for field in fields(COMMANDS[command].schema)} <= names


def test_help_of_training_names_models_and_datasets_and_what_measures_and_watches_a_run(genlab):
    out = genlab("train", "--help").out
    assert all(key in out for key in ("evaluate_every", "best_metric", "evaluation.", "watch."))
    assert all(name in out for name in (*lab.MODELS, *options("dataset")))


FAST = [
    ["--help"],
    [],
    ["--version"],
    ["completion"],
    ["completion", "zsh"],
    ["help", "train"],
    ["complete", "genlab train mod"],
    ["complete", "genlab evaluate extractor="],
    ["nonsense"],
]
"""What needs only names of files and text."""

HELP = [[command, "--help"] for command in COMMANDS]

SLOW = {"torch", "numpy", "tensorboard", "sklearn", "PIL"}


@pytest.mark.parametrize(
    "lines, slow", [(FAST, SLOW | {"hydra", "omegaconf"}), (HELP, SLOW)], ids=["names and text", "help"]
)
def test_answers_without_importing_anything_slow(lines, slow):
    program = f"""
import contextlib, io, sys
import genlab.metrics.catalogue
from genlab.cli import main
for arguments in {lines!r}:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            main(arguments)
        except SystemExit:
            pass
    slow = {slow} & set(sys.modules)
    assert not slow, (arguments, slow)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "line, words",
    [
        ("genlab t", {"train", "translate", "traverse"}),
        ("genlab train model=", {f"model={name}" for name in lab.MODELS}),
        ("genlab train model=v", {"model=vae"}),
        ("genlab train trainer.max_", {"trainer.max_steps=", "trainer.max_epochs="}),
        ("genlab train dataset=shapes dataset.num_s", {"dataset.num_scales="}),
        ("genlab train model=nothing-like-it model.", set()),
        ("genlab train model=gan optimizer=adam_gan optimizer.b", {"optimizer.betas="}),
        ("genlab train device.precision=", {f"device.precision={word}" for word in PRECISIONS}),
        ("genlab train loader.flip=", {"loader.flip=true", "loader.flip=false"}),
        ("genlab sample ru", {"run="}),
        ("genlab sample run=lat", {"run=latest"}),
        ("genlab sample d", {"device=", *(f"device.{key}=" for key in DEVICE_KEYS)}),
        ("genlab sample dataset=", set()),
        ("genlab sample format=", {"format=grid", "format=npz", "format=png", "format=wav", "format=gif"}),
        ("genlab evaluate n", {"num_samples=", "num_images=", "nearest="}),
    ],
)
def test_completion(line, words):
    assert words == set(candidates(line))


@pytest.mark.parametrize("model", lab.MODELS)
def test_completion_offers_the_keys_of_the_chosen_model(model):
    words = candidates(f"genlab train model={model} model.")
    assert set(words) == {f"model.{key}=" for key in lab.keys_of(model) if not key.startswith("_")}


def test_completion_offers_every_key_that_a_command_heeds():
    for command in COMMANDS.keys() - {"train"}:
        words = {word.partition("=")[0] for word in candidates(f"genlab {command} ") if "." not in word}
        assert words == {field.name for field in fields(COMMANDS[command].schema)}


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A working folder with two runs, one of them of a sweep, and a file of data."""
    monkeypatch.chdir(tmp_path)
    for run in ("outputs/vae-digits/1", "outputs/sweeps/latents/0"):
        (tmp_path / run / "checkpoints").mkdir(parents=True)
        (tmp_path / run / "checkpoints/last.safetensors").touch()
    (tmp_path / "outputs/sweeps/latents/sweep.json").touch()
    (tmp_path / "data.npz").touch()
    return ["outputs/sweeps/latents/0", "outputs/vae-digits/1"]


def test_completion_offers_runs_and_paths(places):
    sweep = "outputs/sweeps/latents"
    assert set(candidates("genlab sample run=")) == {f"run={run}" for run in ("latest", *places, sweep)}
    assert candidates("genlab sample run=outputs/v") == ["run=outputs/vae-digits/1"]
    inside = "outputs/vae-digits/1/checkpoints/"
    assert candidates(f"genlab info run={inside}") == [f"run={inside}last.safetensors"]
    assert candidates("genlab sample output_dir=outputs/vae-digits run=l") == ["run=latest"]
    assert candidates("genlab train init_from=") == [f"init_from={run}" for run in places]
    assert candidates("genlab reconstruct input=") == ["input=data.npz", "input=outputs/"]
    assert candidates("genlab train dataset=npz dataset.path=d") == ["dataset.path=data.npz"]
    assert candidates("genlab compare runs=outputs/s") == ["runs=outputs/sweeps/"]
    assert candidates("genlab sample run=nowhere/") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_parse(shell, genlab, tmp_path):
    assert f"genlab completion {shell}" in genlab("completion").out
    (tmp_path / "script").write_text(genlab("completion", shell).out)
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    assert subprocess.run([shell, "-n", str(tmp_path / "script")]).returncode == 0


SESSIONS = {
    "bash": 'COMP_LINE="genlab {line}"; COMP_POINT=${{#COMP_LINE}}; _genlab; printf "%s\\n" "${{COMPREPLY[@]}}"',
    "fish": 'complete -C "genlab {line}"',
}


@pytest.mark.parametrize("shell", SESSIONS)
def test_a_shell_completes(shell, genlab, places, tmp_path):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    program = tmp_path / "bin/genlab"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m genlab "$@"\n')
    program.chmod(0o755)
    script = genlab("completion", shell).out + SESSIONS[shell].format(line="sample run=outputs/v") + "\n"
    environment = os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    done = subprocess.run([shell], input=script, env=environment, capture_output=True, text=True, timeout=60)
    assert "outputs/vae-digits/1" in done.stdout, done.stderr


def test_a_shell_without_a_script_is_refused(refused):
    assert "bash, zsh, fish" in refused("completion", "tcsh")


CHOSEN = {
    "train model=gan dataset=mnist": ["model.r1_every=16", "network.channels=32", "dataset.size=null", "null keeps"],
    "train --help gan ring": ["model.r1_every=4", "network.hidden=[128,128,128]", "dataset.modes=8"],
    "train optimizer=sgd trainer.max_steps=3": ["model.latent_dim=20", "optimizer.momentum=0.9"],
    "train -m model=ae,vae": ["model=ae: "],
    "train experiment=labels-to-photo": ["model=pix2pix: ", "dataset.a=right"],
    "train logger=[tensorboard,csv]": ["logger=[tensorboard,csv]\n", "logger.csv=true"],
    "evaluate dataset=shapes": ["dataset.num_scales="],
}


@pytest.mark.parametrize("line", CHOSEN)
def test_help_explains_the_keys_of_what_is_chosen(line, genlab):
    command, *others = line.split()
    outcome = genlab(command, *others, *["--help"][: "--help" not in others])
    general = genlab(command, "--help").out
    assert outcome.code == 0 and outcome.out.startswith(general)
    chosen = outcome.out.removeprefix(general)
    assert all(part in chosen for part in CHOSEN[line]), chosen
    assert max(map(len, chosen.splitlines())) <= 80 and "_target_" not in chosen


def test_help_without_a_choice_or_with_a_wrong_one(genlab):
    assert genlab("train", "trainer.max_steps=3", "--help").out == genlab("train", "--help").out
    assert genlab("help", "sample").out == genlab("--help", "sample").out == genlab("sample", "--help").out
    outcome = genlab("train", "model=vea", "--help")
    assert outcome.code == 2 and "'vae'" in outcome.err and "usage: " in outcome.out


@pytest.mark.parametrize("line", ["", "model=gan dataset=ring", "model=cyclegan optimizer.lr=1e-4 --resolve"])
def test_cfg_keeps_the_comments_and_the_config(line, genlab, monkeypatch):
    outcome = genlab("train", *line.split(), "--cfg", "job")
    assert outcome.code == 0, outcome.err
    assert re.search(r"^  log_every: 50 +# steps between rows", outcome.out, re.MULTILINE)
    assert re.search(r"^data_dir: .* +# where datasets are", outcome.out, re.MULTILINE)
    monkeypatch.setattr("genlab.commands.train.with_comments", lambda text, comments: text)
    bare = genlab("train", *line.split(), "--cfg", "job").out
    assert "#" not in bare and yaml.safe_load(bare) == yaml.safe_load(outcome.out)
