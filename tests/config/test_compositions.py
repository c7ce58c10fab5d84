"""Every config composes, every key means something, and every kind of generated data can be trained on."""

import inspect
from itertools import zip_longest

import lab
import pytest
from omegaconf import OmegaConf
from representatives import REPRESENTATIVES, structure

from genlab.config.build import build_source
from genlab.config.check import _KINDS, locate, problems_of, settings_of
from genlab.config.commands import COMMANDS, ignored_device_keys
from genlab.config.compose import compose_job, register
from genlab.config.hints import hint_of
from genlab.config.options import bases, dataset_defaults, own_content, read_option
from genlab.config.paths import config_folder, groups, options
from genlab.config.renamed import RENAMED_KEYS, RENAMED_VALUES
from genlab.config.revise import FREE
from genlab.config.sweeping import plan
from genlab.contract.limits import limits_of
from genlab.contract.settings import RunConfig
from genlab.training.inference import validate

GENERATED = ("digits", "shapes", "stripes")
"""Datasets that need no file."""

CLASS_NODES = [(node, name) for node in _KINDS for name in options(node)]


def written(group, name):
    content = read_option(group, name)
    content.pop("defaults", None)
    return content[group] if group == "model" else content


@pytest.mark.parametrize("node, name", CLASS_NODES, ids=["-".join(pair) for pair in CLASS_NODES])
def test_every_key_is_a_setting_and_every_setting_has_a_key(node, name):
    """So that `--cfg job` shows all there is to choose. Of torch's optimizers only the keys are checked."""
    values = written(node, name)
    found = locate(node, values.pop("_target_"))
    own = {"players"} if node == "optimizer" else set()
    parameters, _ = settings_of(found, {"data", "network", "params"})
    assert values.keys() - own <= parameters.keys()
    if found.__module__.startswith("genlab."):
        assert values.keys() - own == parameters.keys()
        values_and_defaults = [(values[key], p.default) for key, p in parameters.items() if values[key] is not None]
        assert all(type(default) is not bool or type(value) is bool for value, default in values_and_defaults)


@pytest.mark.parametrize("model", lab.MODELS)
def test_hyperparameters_are_given_by_keyword(model):
    found = locate("model", written("model", model)["_target_"])
    parameters = list(inspect.signature(found.__init__).parameters.values())[1:]
    assert parameters[0].name == "data"
    assert all(p.kind in (p.KEYWORD_ONLY, p.VAR_KEYWORD) for p in parameters[1:])


@pytest.mark.parametrize("model", lab.MODELS)
def test_a_models_yaml_says_what_every_key_is(model):
    """Those that it shares with a recipe which it rests on are explained there."""
    lines = (config_folder() / "model" / f"{model}.yaml").read_text().splitlines()
    assert lines[0] == "# @package _global_" and lines[1].startswith("# ")
    shared = {key for base in bases(own_content("model", model)) for key in lab.keys_of(base)}
    keys = "".join(f"{line}\n" for line in lines).partition("\nmodel:\n")[2].partition("\n\n")[0].splitlines()
    assert all("#" in line for line in keys if line.split(":")[0].strip() not in {"_target_", *shared})


@pytest.mark.parametrize("dataset", options("dataset"))
def test_every_dataset_composes_without_a_problem(dataset):
    config = lab.compose("vae", f"dataset={dataset}", small=False)
    assert problems_of(config) == {}
    assert (config.choices.model, config.choices.dataset) == ("vae", dataset)


@pytest.mark.parametrize("model", lab.MODELS)
def test_a_recipe_composes_without_a_problem_as_it_stands(model):
    recipe = OmegaConf.load(config_folder() / "model" / f"{model}.yaml")
    config = lab.compose(model, small=False)
    assert problems_of(config) == {} and config.choices.model == model
    own = {node: recipe[node] for node in ("optimizer", "trainer") if node in recipe}
    again = OmegaConf.merge(config.to_dict(), own)
    assert OmegaConf.to_container(again, resolve=True) == config.to_dict()


def test_the_command_line_wins_over_a_recipe():
    config = lab.compose("gan", "optimizer=sgd", "optimizer.lr=0.123", "trainer.max_steps=17", small=False)
    assert config.optimizer["_target_"] == "torch.optim.SGD"
    assert (config.optimizer["lr"], config.trainer.max_steps) == (0.123, 17)


OTHER_GROUPS = [group for group in groups() if group not in ("model", "dataset", "experiment", "sweep")]


def test_every_choice_of_the_other_groups_composes():
    """The first choices of all groups at once, then the second ones, and so on."""
    for names in zip_longest(*map(options, OTHER_GROUPS)):
        choices = [f"{group}={name}" for group, name in zip(OTHER_GROUPS, names, strict=True) if name]
        assert problems_of(lab.compose("vae", *choices, small=False)) == {}, choices


def test_every_experiment_composes():
    register()
    for name in options("experiment"):
        assert problems_of(compose_job([f"experiment={name}"]).config) == {}, name


def test_every_sweep_composes():
    register()
    for name in options("sweep"):
        jobs = plan([f"sweep={name}"]).jobs
        assert len(jobs) > 1
        for job in jobs:
            assert problems_of(job.config) == {}, name


@pytest.mark.parametrize("dataset", GENERATED)
def test_trains_on_every_generated_dataset(dataset):
    """By a model that can take it. Each model's own dataset is that of `tests/laws/test_overfit.py`."""
    provided = build_source(dataset_defaults(dataset)).spec.provides
    model = next(model for model in REPRESENTATIVES if structure(model)[1] <= provided)
    sizes = [*lab.small_data(f"dataset={dataset}"), "trainer.batch_size=8", "trainer.max_steps=2"]
    config = lab.compose(model, f"dataset={dataset}", *sizes)
    trainer = lab.trainer(config, build_source(config.dataset))
    trainer.fit()
    assert trainer.step == 2
    assert validate(trainer).keys() & trainer.model.metrics.keys()


SKELETONS = [*(command.schema for command in COMMANDS.values()), RunConfig]


def exists(key):
    return any(hint_of(schema, key) is not None for schema in SKELETONS)


def test_tables_name_keys_that_exist_and_former_names_are_not_in_use():
    ignored = {f"device.{key}" for command in COMMANDS for key in ignored_device_keys(command)}
    assert all(map(exists, [*ignored, *FREE, *RENAMED_KEYS.values(), *(key for key, _ in RENAMED_VALUES)]))
    assert not any(map(exists, RENAMED_KEYS))
    for (key, former), word in RENAMED_VALUES.items():
        choices = {choice for schema in SKELETONS for choice in limits_of(schema, key).choices}
        assert word in choices and former not in choices


@pytest.mark.parametrize("group", ["device", "trainer", "loader", "logger", "watch"])
def test_comments_say_what_every_key_of_the_schema_is(group):
    for name in options(group):
        lines = (config_folder() / group / f"{name}.yaml").read_text().splitlines()
        if "defaults:" not in lines:  # the others change values of a file that has the comments
            assert all(" # " in line for line in lines if ":" in line)
