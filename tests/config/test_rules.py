"""Rules of recipes: what they ask of the data, when they hold, and that each leads to a config that can be trained."""

import lab
import pytest
from omegaconf import OmegaConf
from PIL import Image

from genlab.config.check import problems_of
from genlab.config.compose import compose_job, register
from genlab.config.options import class_of, read_option
from genlab.config.rules import Look, followed, holds, look, rules_of, settings_for, unclear
from genlab.contract.settings import lookup

PHOTOGRAPHS = {"kind": "image", "channels": 3, "side": 64, "levels": 256, "examples": 5000}
DATA = [{"kind": kind, "examples": 5000} for kind in ("image", "points")]
DATA += [PHOTOGRAPHS | {"channels": channels, "side": side} for side in (32, 64, 96, 128, 256) for channels in (1, 3)]
DATA += [PHOTOGRAPHS | {"levels": 2}, PHOTOGRAPHS | {"channels": 1, "side": 28}]
RULES = [(model, condition) for model in lab.MODELS for condition in rules_of(model)]


def composed(*overrides):
    register()
    return compose_job(overrides).config


def folder_of(root, *sizes, mode="RGB"):
    root.mkdir(parents=True)
    for number, (width, height) in enumerate(sizes):
        Image.new(mode, (width, height), number).save(root / f"{number}.png")
    return root


@pytest.mark.parametrize(
    "condition, true",
    {
        "image": True,
        "points": False,
        "channels=3": True,
        "channels=1": False,
        "side>=64": True,
        "side<64": False,
        "channels=3 side>=65": False,
        "channels=1 or side>=64": True,
        "channels=1 side>=64 or examples<5000": False,
    }.items(),
)
def test_conditions(condition, true):
    assert holds(condition, PHOTOGRAPHS) is true


def test_what_is_not_known_of_the_data_holds_no_rule():
    assert not holds("side>=1", {"kind": "image"}) and not holds("channels<9", {"kind": "points"})


def test_later_rules_win_and_a_new_network_drops_the_sizes_of_the_old():
    found = settings_for(
        {
            "channels=3": {"network": "conv", "network.dense": [9], "model": {"latent_dim": 2}},
            "points": {"model.latent_dim": 3},
            "side>=64": {"network": "mlp", "network.hidden": [8]},
            "side>=4": {"model.latent_dim": 5},
        },
        PHOTOGRAPHS,
    )
    assert found == {"network": "mlp", "network.hidden": [8], "model.latent_dim": 5}


@pytest.mark.parametrize("condition, named", {"chanels=3": "channels", "image point": "points"}.items())
def test_a_condition_that_is_none_is_explained(condition, named):
    assert not list(unclear({condition: None}, frozenset({"image"}))), "a rule that is dropped"
    (problem,) = unclear({condition: {}}, frozenset({"image", "points"}))
    assert f"for_data.{condition}" in problem and named in problem


@pytest.mark.parametrize("model, condition", RULES, ids=[f"{model}: {condition}" for model, condition in RULES])
def test_every_key_of_a_rule_is_one_of_the_model(model, condition, monkeypatch):
    """On the first data for which it holds, with the rules that hold there too."""
    assert not list(unclear({condition: {}}, class_of("model", model).kinds))
    properties = next(data for data in DATA if holds(condition, data))
    monkeypatch.setattr("genlab.config.recipes.look", lambda *_: Look(properties, {}))
    config = composed(f"model={model}")
    assert problems_of(config) == {}
    for key, value in settings_for(rules_of(model), properties).items():
        if "${" not in str(value):
            found = lookup(config.to_dict(), key)
            assert found == value if "." in key else found["_target_"] == read_option(key, value)["_target_"]


@pytest.mark.parametrize(
    "model, dataset", [*[("vae", name) for name in ("mnist", "fashion-mnist", "shapes")], ("beta-vae", "shapes")]
)
def test_small_grey_images_keep_the_recipe_itself(model, dataset):
    config = composed(f"model={model}", f"dataset={dataset}").to_dict()
    recipe = read_option("model", model)
    for node in ("model", "network", "trainer"):
        assert recipe[node].items() <= config[node].items()
    assert config["device"]["memory_format"] == "contiguous"


@pytest.mark.parametrize("model", ["vae", "beta-vae", "cvae", "ae"])
def test_photographs_take_convolutions(model, tmp_path):
    photographs = folder_of(tmp_path / "images", *[(64, 64)] * 8)
    config = composed(f"model={model}", "dataset=image-folder", f"dataset.path={photographs}")
    assert "Convolutional" in config.network["_target_"] and config.dataset["size"] == 64
    assert composed(f"model={model}", "dataset=cifar10").network["_target_"] == config.network["_target_"]
    if model != "ae":
        assert config.model["likelihood"] == "gaussian-learned"
        binary = composed(f"model={model}", "dataset=cifar10", "dataset.binarize=static")
        assert binary.model["likelihood"] == "bernoulli" and binary.network == composed("dataset=cifar10").network


def test_what_is_asked_for_wins_over_rules(tmp_path):
    data = ["dataset=image-folder", f"dataset.path={folder_of(tmp_path / 'images', (64, 64), (64, 64))}"]
    mlp = composed("model=vae", *data, "network=mlp")
    assert mlp.network == read_option("network", "mlp") and mlp.model["likelihood"] == "gaussian-learned"
    assert composed("model=vae", *data, "network.channels=8").network["channels"] == 8, "a key that only a rule brings"
    assert composed("model=vae", *data, "network.hidden=[8]").network["hidden"] == [8], "which the rule's network lacks"
    quick = composed("model=vae", *data, "experiment=quick", "model.likelihood=bernoulli", "dataset.size=16")
    assert (quick.trainer.max_steps, quick.model["likelihood"], quick.dataset["size"]) == (200, "bernoulli", 16)


def test_data_that_cannot_be_looked_at_leave_the_recipe(tmp_path):
    register()
    for settings in ({"path": None}, {"path": str(tmp_path)}, {"path": "x", "no_such": 3}):
        dataset = OmegaConf.create({"_target_": "genlab.data.folders.ImageFolder", **settings})
        assert look(dataset, {"channels=3": {}}).properties == {"kind": "image"}


def test_a_look_reads_no_image(tmp_path, monkeypatch):
    """Not even if damaged files are to be left out, which are found by decoding all."""
    folder = folder_of(tmp_path / "images", (64, 64), (64, 64))
    settings = {"path": str(folder), "skip_damaged": True}
    dataset = OmegaConf.create({"_target_": "genlab.data.folders.ImageFolder", **settings})
    monkeypatch.setattr("genlab.data.images.decode", None)
    found = look(dataset, {"channels=3": {}})
    assert found.properties == {"kind": "image", "channels": 3, "side": 64, "levels": 256, "examples": 1}
    assert found.settled == {"size": 64}


def test_a_line_says_what_follows_from_the_data():
    config = composed("model=vae", "dataset=cifar10", "trainer.max_steps=7")
    line = followed(config, _source("cifar10"))
    assert "network=conv" in line and "model.likelihood=gaussian-learned" in line and "trainer.max_steps" not in line
    assert followed(composed("model=vae"), _source("digits")) is None


def _source(name):
    source = class_of("dataset", name)
    return source(**({} if name == "digits" else {"data_dir": "."}))
