"""Recipes follow the chosen network and the kind of the data; what a user sets wins. See also `test_rules`."""

from dataclasses import replace

import lab
import pytest

from genlab.config import recipes
from genlab.config.check import problems_of
from genlab.config.compose import RequestError, compose_command, compose_job, register
from genlab.config.options import read_option
from genlab.config.paths import options
from genlab.config.recipes import override_text
from genlab.config.rules import rules_of
from genlab.config.sweeping import plan
from genlab.contract.model import GenerativeModel
from genlab.data.digits import Digits
from genlab.models import ae

TAKES_POINTS = [name for name in lab.MODELS if "points" in rules_of(name)]


def composed(*overrides):
    register()
    return compose_job(overrides).config


@pytest.fixture
def points(monkeypatch):
    """The default dataset counts as points."""
    monkeypatch.setattr(Digits, "kind", "points")


def file_of(name):
    return read_option("network", name)


@pytest.mark.parametrize("model", lab.MODELS)
def test_another_network_than_the_recipes_comes_with_the_sizes_of_its_own_file(model):
    """Each model with some network, and among them all networks."""
    number, names = lab.MODELS.index(model), options("network")
    own = composed(f"model={model}").network
    for name in names[number % len(names) :: len(lab.MODELS)] if own else ():  # some models build their own
        found = composed(f"model={model}", f"network={name}").network
        assert found == (own if own["_target_"] == file_of(name)["_target_"] else file_of(name))


def test_sizes_of_the_user_and_of_a_fitting_experiment_stay():
    assert composed("model=gan", "network=dcgan", "network.channels=8").network["channels"] == 8
    assert composed("experiment=bench-dcgan-32").network["channels"] == 16
    assert composed("experiment=bench-vae-burgess", "network=mlp").network == file_of("mlp")
    with pytest.raises(RequestError, match=r"network\.sizes=3"):
        composed("model=gan", "network=mlp", "network.sizes=3")


@pytest.mark.parametrize("model", TAKES_POINTS)
def test_a_recipe_follows_the_kind_of_the_data(model, points):
    settings = rules_of(model)["points"]
    values = composed(f"model={model}").to_dict()
    if "network" in settings:
        assert values["network"]["_target_"] == file_of(settings["network"])["_target_"]
    for key, value in settings.items():
        node, _, name = key.partition(".")
        assert not name or values[node][name] == value
    assert "for_data" not in values


def test_what_is_set_wins_over_the_kind_of_the_data(points):
    assert composed("model=gan", "network.hidden=[8]").network["hidden"] == [8], "a key that the recipe itself lacks"
    own = read_option("model", "gan")["network"]
    assert composed("model=gan", "network=conv").network == {**file_of("conv"), **own}
    assert composed("model=vae", "experiment=bench-vae-burgess").network["channels"] == 32
    assert composed("model=gan", "network=dcgan").network == file_of("dcgan")


def test_a_mistake_is_explained_by_the_network_that_the_data_bring(points):
    with pytest.raises(RequestError, match=r"network\.hiden=\[8\].*'hidden'") as refused:
        composed("model=gan", "network.hiden=[8]", "modle=3")
    assert len(refused.value.problems) == 2


class Bare(GenerativeModel):
    """A model without a network of the group."""

    def __init__(self, data, *, size: int = 3):
        super().__init__(data)


def test_a_network_too_many_or_too_few_is_one_line(monkeypatch):
    monkeypatch.setattr(ae, "Bare", Bare, raising=False)
    config = composed()
    assert "mlp" in problems_of(replace(config, network=None))["network"][0]
    bare = replace(config, model={"_target_": "genlab.models.ae.Bare", "size": 3})
    assert problems_of(replace(bare, network=None)) == {}
    (line,) = problems_of(bare)["network"]
    assert "network=mlp" in line and "Bare" in line


def test_jobs_of_a_sweep_follow_each_for_itself():
    register()
    jobs = plan(["model=gan,ae", "network=mlp,conv"]).jobs
    sizes = [set(job.config.network) - {"_target_"} for job in jobs]
    mlp, conv = (set(file_of(name)) - {"_target_"} for name in ("mlp", "conv"))
    assert sizes == [mlp, conv, mlp, conv]


def test_overrides_that_show_the_config_lead_to_it():
    register()
    once = compose_command("train", ["model=gan", "network=mlp"])
    again = compose_command("train", [*once.adjusted, "model=gan", "network=mlp"])
    assert once.values == again.values and once.values["for_data"] is None


@pytest.mark.parametrize(
    "value",
    [None, True, 3, 2e-5, "a, b='c'", "${seed}", [1, [2.5, None]], {"lr": 1e-3, "betas": [0.5, 0.9]}, []],
    ids=str,
)
def test_values_survive_the_grammar_of_overrides(value):
    register()
    found = compose_command("train", [f"+optimizer.players.model={override_text(value)}"]).values["optimizer"][
        "players"
    ]
    assert found["model"] == (0 if value == "${seed}" else value)


def test_a_recipe_may_rest_on_another_of_another_network():
    file, gan = recipes._File("model", "dcgan"), recipes._File("model", "gan")
    assert [part.keys for part in file] == [gan.keys, file.keys]
    assert file.choices == gan.choices | {"network": "dcgan"}
    whole = read_option("model", "gan")["model"]
    assert read_option("model", "dcgan")["model"] == whole | {"r1_gamma": 0.0}
    register()
    assert compose_command("train", ["model=dcgan"]).values["network"].keys() == read_option("network", "dcgan").keys()
