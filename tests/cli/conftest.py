"""Run the command line in this process and look at what a person would see."""

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from genlab.cli import main
from genlab.training.trainer import Trainer


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return [line.strip() for line in self.err.splitlines() if line.strip()]


@pytest.fixture
def genlab(capsys, tmp_path, monkeypatch):
    """`genlab(*arguments)` as a shell would start it, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GENLAB_DEBUG", raising=False)
    monkeypatch.delenv("GENLAB_DATA", raising=False)

    def run(*arguments: str) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main(list(arguments))
        captured = capsys.readouterr()
        return Outcome(stopped.value.code, captured.out, captured.err)

    return run


@pytest.fixture
def refused(genlab, tmp_path):
    """`refused(*arguments)` must exit with code 2, one line a problem, no traceback and nothing written."""

    def run(*arguments: str, problems: int | None = 1) -> str:
        before = sorted(tmp_path.rglob("*"))
        outcome = genlab(*arguments)
        assert outcome.code == 2, outcome
        assert "Traceback" not in outcome.err + outcome.out
        assert outcome.out == ""
        assert outcome.err.startswith("genlab: ")
        if problems is not None:
            assert len(outcome.lines) == problems, outcome.err
        assert sorted(tmp_path.rglob("*")) == before, "a refused request leaves nothing behind"
        return outcome.err

    return run


TINY = ["device=cpu", "device.threads=1", "network.hidden=[16]", "model.latent_dim=3"]
TINY += ["trainer.batch_size=32", "logger.projector_size=20"]


@pytest.fixture(scope="session")
def tiny() -> list[str]:
    """Settings of a short run of the default model on the default dataset."""
    return list(TINY)


def train(output, *settings):
    """A short real run by the command line, in a folder below `output`."""
    with contextlib.chdir(output), pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as stopped:
        patch.delenv("GENLAB_DATA", raising=False)
        main(["train", *settings, f"output_dir={output}"])
    assert stopped.value.code == 0


OFTEN = ["log_every=10", "validate_every=15", "preview_every=15", "checkpoint_every=10"]


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The output folder and the run folder, to which commands add results, of a run that writes all there is."""
    output = tmp_path_factory.mktemp("outputs")
    train(output, *TINY, "trainer.max_steps=30", "trainer.ema=0.9", *(f"trainer.{setting}" for setting in OFTEN))
    (folder,) = output.glob("vae-digits/*")
    return output, folder


@pytest.fixture
def stop(monkeypatch):
    """`stop(step, number)`: this process gets a signal when it makes that step the next time."""
    honest = Trainer.train_step

    def plan(step, number):
        planned = [step]

        def train_step(trainer, batch):
            honest(trainer, batch)
            if trainer.step in planned:
                planned.clear()
                os.kill(os.getpid(), number)

        monkeypatch.setattr(Trainer, "train_step", train_step)

    return plan


SHORTEST = ["device=cpu", "device.threads=1", "logger.tensorboard=false", "logger.console=false"]
SHORTEST += ["trainer.batch_size=8", "trainer.preview_every=null", "trainer.max_steps=3"]

SETTINGS = {
    "vae": ["network.hidden=[16]", "model.latent_dim=4"],
    "ae": ["network.hidden=[16]", "model.latent_dim=4"],
    "cgan": ["network.channels=4", "network.dense=[8]", "model.latent_dim=3"],
    "cyclegan": ["network.width=4", "model.discriminator_width=4", "dataset.size=16", "dataset.num_validation=8"],
}


@pytest.fixture(scope="session")
def short(tmp_path_factory):
    """`short(model, *settings)`: the folder of a run of three steps."""

    def run(model, *settings):
        output = tmp_path_factory.mktemp("outputs")
        train(output, f"model={model}", *SHORTEST, *settings)
        return next(output.glob(f"{model}-*/*"))

    return run


@pytest.fixture(scope="session")
def runs(short):
    """The folder of a short real run of each kind: with a prior and codes, codes alone, labels, two domains."""
    return SimpleNamespace(**{model: short(model, *settings) for model, settings in SETTINGS.items()})


@pytest.fixture
def done(genlab):
    """`done(command, run, *arguments)`: what it printed, and the folder of its results."""

    def go(command, run, *arguments):
        outcome = genlab(command, f"run={run}", *arguments, "device=cpu", "device.threads=1")
        assert outcome.code == 0, outcome.err
        assert re.search("^(next|use) ", outcome.out, re.MULTILINE), "the last lines say how to go on"
        return outcome.out, Path(re.search(r"^(?:grid|array|table|listing) +(.*)/", outcome.out, re.MULTILINE)[1])

    return go


@pytest.fixture
def refuses(refused):
    """`refuses(command, run, *arguments)`: the line; nothing is written, into the run's folder neither."""

    def go(command, run, *arguments, problems=1):
        before = sorted(run.rglob("*"))
        line = refused(command, f"run={run}", *arguments, "device=cpu", "device.threads=1", problems=problems)
        assert sorted(run.rglob("*")) == before
        return line

    return go


@pytest.fixture
def photographs(tmp_path):
    """A folder with grey images of a larger size, two of them of one name, and its names."""
    folder = tmp_path / "photographs"
    (folder / "more").mkdir(parents=True)
    names = ["a.png", "b.png", "more/a.png", "more/twin.jpg", "more/twin.png"]
    for number, name in enumerate(names):
        pixels = np.full((20, 24), 40 * number + 20, np.uint8)
        pixels[5:15, 3 * number : 3 * number + 8] = 255
        Image.fromarray(pixels).save(folder / name)
    return folder, names
