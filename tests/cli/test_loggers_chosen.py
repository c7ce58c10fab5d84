"""How loggers are chosen on the command line, and what is told of mistakes."""

import pytest

from genlab.commands.completion import candidates
from genlab.commands.requests import compose_request
from genlab.runs import loggers

NAMES = ("tensorboard", "csv", "wandb", "mlflow")


def chosen(*arguments):
    """The loggers of a run."""
    settings = compose_request("train", list(arguments)).job.config.logger
    return [name for name in NAMES if getattr(settings, name)]


@pytest.mark.parametrize(
    "argument, names",
    [
        ("seed=0", ["tensorboard"]),
        ("logger=tensorboard,wandb,mlflow,csv", list(NAMES)),
        ("logger=[tensorboard,csv]", ["tensorboard", "csv"]),
        ("logger=csv", ["csv"]),
        ("logger=CSV", None),
        ("logger=null", []),
        ("logger.csv=true", ["tensorboard", "csv"]),
        ("logger.tensorboard=false", []),
    ],
)
def test_loggers_are_chosen_by_their_names(argument, names):
    if names is None:
        with pytest.raises(ValueError, match="csv"):
            chosen(argument)
    else:
        assert chosen(argument) == names


def test_names_are_completed_and_a_wrong_one_is_told_with_the_other_mistakes(refused):
    assert candidates("genlab train logger=") == [f"logger={name}" for name in sorted(NAMES)]
    lines = refused("train", "logger=csv,wandbb", "seed=x", problems=2)
    assert "'wandb'" in lines and "seed" in lines
    assert "seed" in refused("train", "logger=[csv,tensorboard]", "seed=x")


@pytest.mark.parametrize("name", loggers.EXTRAS)
def test_a_missing_package_is_told_before_anything_is_read(name, refused, monkeypatch):
    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    line = refused("train", f"logger=csv,{name}")
    assert f"logger.{name}" in line and f"pip install 'genlab[{name}]'" in line


def test_a_resumed_run_may_log_elsewhere(genlab, tiny, tmp_path):
    assert genlab("train", *tiny, "trainer.max_steps=1", "logger=null", "hydra.run.dir=run").code == 0
    for argument, part in (("logger=svc", "'csv'"), ("logger=csv,tensorbord", "'tensorboard'")):
        assert part in genlab("resume", "run=run", argument, "trainer.max_steps=2").err
    outcome = genlab("resume", "run=run", "logger=csv,tensorboard", "trainer.max_steps=2")
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "run/metrics.csv").is_file() and list((tmp_path / "run").glob("events*"))
