"""A loaded run: what loading refuses and how, and what the run then does for its user."""

import os
import shutil
from types import SimpleNamespace

import lab
import pytest
import torch

import genlab
from genlab.checkpoints import file as checkpoint
from genlab.contract.data import image_spec
from genlab.contract.model import GenerativeModel
from genlab.inference.finding import latest
from genlab.inference.load import load
from genlab.inference.run import Run
from genlab.models.vae import VAE


class Painter(GenerativeModel):
    """Paints noise, or labels; remembers in which batches."""

    def __init__(self, data):
        super().__init__(data)
        self.batches = []

    def sample(self, num_samples, condition=None, *, contrast: float = 1.0):
        self.batches.append(num_samples)
        if condition is None:
            return contrast * torch.rand(num_samples, 1, 1, 1)
        return contrast * condition["label"].view(-1, 1, 1, 1) / 10


class LabelPainter(Painter):
    conditions = ("label",)


def run_of(family, folder):
    config = SimpleNamespace(choices=SimpleNamespace(model="painter", dataset="digits"))
    data = image_spec((1, 1, 1), 4)
    return Run(folder, 1, config, data, family(data), lab.CPU)


def test_draws_in_batches_as_a_function_of_the_seed(tmp_path):
    run = run_of(Painter, tmp_path)
    images = run.sample(600, seed=3)
    assert images.shape == (600, 1, 1, 1)
    assert sum(run.model.batches) == 600 and max(run.model.batches) <= 256
    assert len(images.unique()) > 590, "batches do not repeat each other"
    state = torch.get_rng_state()
    assert torch.equal(run.sample(600, seed=3), images)
    assert torch.equal(run.sample(256, seed=3), images[:256]), "more images change none of the first"
    assert not torch.equal(run.sample(600, seed=4), images)
    assert torch.equal(torch.get_rng_state(), state)


def test_all_classes_in_turn_or_one(tmp_path):
    run = run_of(LabelPainter, tmp_path)
    batches = list(run.draw(300, seed=0))
    labels = torch.cat([condition["label"] for _, condition in batches])
    assert labels.tolist() == [number % 4 for number in range(300)]
    torch.testing.assert_close(torch.cat([images for images, _ in batches]).flatten(), labels / 10)
    for label in (2, 0):
        ((_, condition),) = run.draw(5, seed=0, condition={"label": label})
        assert condition["label"].tolist() == [label] * 5


def test_options_of_sampling_are_those_of_the_model(tmp_path):
    run = run_of(Painter, tmp_path)
    torch.testing.assert_close(run.sample(5, seed=1, contrast=0.5), 0.5 * run.sample(5, seed=1))
    with pytest.raises(ValueError, match=r"sampling\.contrast='much': must be a number"):
        run.sample(5, contrast="much")
    with pytest.raises(ValueError, match=r"(?s)sampling\.contrst=1: .*contrast.*sampling\.steps=2: "):
        run.sample(5, contrst=1, steps=2)


def trained(folder, *settings):
    """A run folder with a few checkpoints."""
    config = lab.compose("vae", "trainer.batch_size=8", *settings)
    source = lab.RandomExamples(VAE)
    lab.with_files(lab.trainer(config, source), config, source.spec, folder).fit()
    return folder


@pytest.fixture(scope="module")
def of_one_step(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("run"), "trainer.max_steps=1")


@pytest.fixture
def saved(of_one_step, tmp_path):
    """A run folder with one checkpoint, and what it holds; a copy, which a test may change."""
    shutil.copytree(of_one_step, tmp_path / "run")
    return tmp_path / "run", checkpoint.load(tmp_path / "run/checkpoints/last.safetensors")


def test_loads_a_folder_or_a_file_and_touches_no_generator(saved):
    folder, _ = saved
    state = torch.get_rng_state()
    for place in (folder, folder / "checkpoints/last.safetensors", folder / "checkpoints/step_0000001.safetensors"):
        run = load(str(place), lab.CPU)
        assert run.folder == folder and run.step == 1
    assert torch.equal(torch.get_rng_state(), state)


USELESS = r"its config cannot be used by this version\n.*"

WRONG = [
    (lambda state: state["config"]["model"].update(_target_="genlab.Gone"), rf"{USELESS}genlab\.Gone: no such class"),
    (lambda state: state["config"]["model"].update(width=3), rf"{USELESS}model\.width=3: VAE has no such setting"),
]
WRONG += [
    (lambda state, key=key: state.pop(key), f"is no checkpoint of a run, it holds no {key}")
    for key in ("config", "data", "step", "model", "ema")
]


@pytest.mark.parametrize("change, message", WRONG)
def test_what_a_checkpoint_says_is_checked_before_anything_is_built(saved, change, message):
    folder, state = saved
    change(state)
    checkpoint.save(state, folder / "checkpoints/last.safetensors")
    with pytest.raises(ValueError, match=message):
        load(folder)


def test_gives_what_its_model_makes_on_the_cpu(saved):
    run = genlab.load(saved[0])
    x = run.sample(5, seed=1)
    assert x.shape == (5, 1, 16, 16) and torch.equal(x, run.sample(5, seed=1))
    z = run.encode(x)
    assert z.shape == (5, 3) and torch.equal(run.decode(z), run.reconstruct(x))
    torch.testing.assert_close(run.sample(300, seed=4), run.decode(run.prior(300, seed=4)))
    assert not saved[1]["ema"] and run.weights == "raw"
    assert run.sample(400, truncation=0.1).std(0).mean() < run.sample(400).std(0).mean(), "less variety"


def test_refuses_what_does_not_fit_in_its_own_words(saved):
    run = genlab.load(saved[0])
    for call, message in (
        (lambda: run.encode(torch.rand(2, 1, 8, 8)), r"\[2, 1, 8, 8\]: this run takes .*\[N, 1, 16, 16\]"),
        (lambda: run.reconstruct(torch.rand(1, 16, 16)), "examples: "),
        (lambda: run.encode(torch.ones(2, 1, 16, 16, dtype=torch.uint8)), "only 0 and 1"),
        (lambda: run.encode([[0.0]]), r"examples: float64 \[1, 1\]"),
        (lambda: run.sample(0), "num_samples=0"),
        (lambda: run.sample(2, condition={"label": 3}), r"condition\.label=3: .*vae is conditioned on nothing"),
        (lambda: genlab.load(saved[0], weights="RAW"), "weights=RAW: .*averaged, raw"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_raw_weights_are_those_that_the_optimizer_left(tmp_path):
    trained(tmp_path, "trainer.max_steps=3", "trainer.ema=0.5")
    state = checkpoint.load(tmp_path / "checkpoints/last.safetensors")
    assert state["ema"]
    raw, averaged = (load(tmp_path, weights=weights).model.state_dict() for weights in ("raw", "averaged"))
    assert not list(lab.differences(raw, state["model"]))
    assert lab.moved(raw, averaged) and not list(lab.differences(averaged, {**state["model"], **state["ema"]}))


def test_latest_is_the_run_that_saved_last(tmp_path):
    with pytest.raises(ValueError, match=r"run=latest: no run with a checkpoint below .*; train one with"):
        latest(str(tmp_path))
    for age, place in enumerate(("vae-digits/b", "sweeps/vae-digits/s/0", "gan-digits/a")):
        file = tmp_path / place / "checkpoints/last.safetensors"
        file.parent.mkdir(parents=True)
        file.touch()
        os.utime(file, (1000 + age, 1000 + age))
        assert latest(str(tmp_path)) == tmp_path / place
