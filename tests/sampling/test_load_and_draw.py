"""Loading a run: what it refuses and how; drawing: batches and labels."""

import os
from types import SimpleNamespace

import lab
import pytest
import torch
from omegaconf import OmegaConf

from genlab.data.spec import DataSpec
from genlab.sampling.draw import draw
from genlab.sampling.load import Run, latest, load
from genlab.training import checkpoint


class Painter:
    """Paints labels, or noise; remembers in which portions."""

    def __init__(self, requires):
        self.requires, self.portions = requires, []

    def sample(self, num_samples, label=None):
        self.portions.append(num_samples)
        if label is None:
            return torch.rand(num_samples, 1, 1, 1)
        return label.view(-1, 1, 1, 1) / 10


def run_of(requires, tmp_path):
    config = OmegaConf.create({"choices": {"model": "painter", "dataset": "digits"}})
    return Run(tmp_path, 1, config, DataSpec((1, 1, 1), num_classes=4), Painter(requires), lab.CPU)


def test_draws_in_portions_as_a_function_of_the_seed(tmp_path):
    run = run_of(frozenset(), tmp_path)
    pictures, labels = draw(run, 600, seed=3)
    assert labels is None and pictures.shape == (600, 1, 1, 1)
    assert sum(run.model.portions) == 600 and max(run.model.portions) <= 256
    assert len(pictures.unique()) > 590, "portions do not repeat each other"
    state = torch.get_rng_state()
    assert torch.equal(draw(run, 600, seed=3)[0], pictures)
    assert not torch.equal(draw(run, 600, seed=4)[0], pictures)
    assert torch.equal(torch.get_rng_state(), state)


def test_all_classes_in_turn_or_one(tmp_path):
    run = run_of(frozenset({"label"}), tmp_path)
    pictures, labels = draw(run, 300, seed=0)
    assert labels.tolist() == [number % 4 for number in range(300)]
    torch.testing.assert_close(pictures.flatten(), labels / 10)
    assert draw(run, 5, seed=0, label=2)[1].tolist() == [2] * 5
    assert draw(run, 5, seed=0, label=0)[1].tolist() == [0] * 5


@pytest.mark.parametrize(
    "requires, label, message",
    [
        ({"label"}, 4, "label=4: this run knows the classes 0 to 3"),
        ({"label"}, -1, "label=-1: this run knows the classes 0 to 3"),
        (set(), 1, "label=1: model painter takes no labels"),
    ],
)
def test_refuses_labels_that_do_not_exist(requires, label, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        draw(run_of(frozenset(requires), tmp_path), 3, seed=0, label=label)


def test_refuses_what_the_model_cannot(tmp_path):
    with pytest.raises(ValueError, match=r"model painter cannot translate; it can sample$"):
        run_of(frozenset(), tmp_path).capability("translate")


@pytest.fixture
def saved(tmp_path):
    """A run folder with one checkpoint, and what it holds."""
    config = lab.compose("vae", "trainer.max_steps=1", "trainer.batch_size=8")
    source = lab.RandomPictures(frozenset({"image"}))
    lab.with_files(lab.trainer(config, source), config, source.spec, tmp_path / "run").fit()
    return tmp_path / "run", torch.load(tmp_path / "run/checkpoints/last.pt", weights_only=True)


def test_loads_a_folder_or_a_file(saved):
    folder, _ = saved
    for place in (folder, folder / "checkpoints/last.pt", folder / "checkpoints/step_0000001.pt"):
        run = load(str(place), lab.CPU)
        assert run.folder == folder and run.step == 1


def test_loading_touches_no_generator(saved):
    torch.manual_seed(0)
    state = torch.get_rng_state()
    load(str(saved[0]), lab.CPU)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c: c["model"].update(_target_="os.system"), "os.system: outside the trusted packages"),
        (lambda c: c["model"].update(_target_="genlab.models.gone.Gone"), "genlab.models.gone.Gone: no such class"),
        (lambda c: c["model"].update(width=3), "model.width=3: VAE has no such setting"),
    ],
)
def test_a_checkpoints_config_is_checked_before_it_is_built(saved, change, message):
    folder, state = saved
    change(state["config"])
    checkpoint.save(state, folder / "checkpoints/last.pt")
    with pytest.raises(ValueError, match=message) as caught:
        load(str(folder), lab.CPU)
    assert "its config cannot be used by this version" in str(caught.value)


def test_latest_is_the_run_that_saved_last(tmp_path):
    with pytest.raises(ValueError, match=r"run=latest: no run with a checkpoint below .*; train one with"):
        latest(str(tmp_path))
    for age, place in enumerate(("vae-digits/b", "sweeps/vae-digits/s/0", "gan-digits/a")):
        file = tmp_path / place / "checkpoints/last.pt"
        file.parent.mkdir(parents=True)
        file.touch()
        os.utime(file, (1000 + age, 1000 + age))
        assert latest(str(tmp_path)) == tmp_path / place


def test_stub_is_enough_for_capability(tmp_path):
    run = run_of(frozenset(), tmp_path)
    run.model = SimpleNamespace(encode=len, requires=frozenset())
    assert run.capability("encode") is len
