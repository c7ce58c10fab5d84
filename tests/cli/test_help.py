"""Help and completion answer at once: they import neither torch nor Hydra."""

import re
import subprocess
import sys
from dataclasses import fields

import lab
import pytest

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
    ["completion", "bash"],
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
        ("genlab sample run=", {"run=latest"}),
        ("genlab sample d", {"device=", *(f"device.{key}=" for key in DEVICE_KEYS)}),
        ("genlab sample dataset=", set()),
        ("genlab sample format=", {"format=grid", "format=npz", "format=png"}),
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


def test_completion_script_is_bash(genlab, tmp_path):
    script = genlab("completion", "bash").out
    (tmp_path / "completion").write_text(script)
    assert subprocess.run(["bash", "-n", str(tmp_path / "completion")]).returncode == 0
    assert "eval" in genlab("completion").out
    assert genlab("complete", "genlab sample run=").out.split() == ["run=latest"]
