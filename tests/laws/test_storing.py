"""What train accepts, every command accepts: a value is refused at the start, or the run that has it loads again."""

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace

import pytest

from genlab.config.check import limit_problems, problems_of
from genlab.config.compose import compose_job, register
from genlab.config.hints import fits, hint_of
from genlab.config.stored import as_yaml, stored_config, unstorable
from genlab.contract.settings import CLASS_NODES, RunConfig, lookup
from genlab.runs.check import check
from genlab.system.small_files import plain_yaml

NUMBERS = [-(2**130), -1, 0, 2**31, 2**63, 2**64, 2**128, 10**21 - 1, 10**400]
NUMBERS += [0.1, -0.0, 5e-324, -1e-5, 1e22, 1.7e308, float("inf"), float("nan")]


@pytest.fixture(scope="module")
def config() -> RunConfig:
    register()
    return compose_job([]).config


def keys_of(settings, above: str = "") -> Iterator[str]:
    """Dotted keys of settings with types."""
    for entry in fields(settings):
        if is_dataclass(inner := getattr(settings, entry.name)):
            yield from keys_of(inner, f"{above}{entry.name}.")
        elif entry.name not in CLASS_NODES:
            yield above + entry.name


def changed(settings, key: str, value):
    name, _, rest = key.partition(".")
    return replace(settings, **{name: changed(getattr(settings, name), rest, value) if rest else value})


def loads_again(config: RunConfig) -> None:
    assert stored_config(json.loads(json.dumps(config.to_dict()))) == config
    assert stored_config(plain_yaml(as_yaml(config))) == config
    assert not problems_of(config), "asked again when it is loaded"


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: str(number)[:8])
def test_a_number_is_refused_or_loads_again(config, number):
    for key in keys_of(config):
        one = changed(config, key, number)
        if fits(number, hint_of(RunConfig, key)) and not problems_of(one):
            config = one
    assert unstorable(config) == []
    loads_again(config)


TEXTS = ["", "é 写真 😀", "a\x07\n\tb", "\udce4", "no", "1e5", "x" * 3000, "~", "{a: 1}", "$x"]
REFUSED = ["${seed}", "x" * 3001, "a\x85b"]


@pytest.mark.parametrize("text", TEXTS + REFUSED, ids=lambda text: ascii(text)[:12])
def test_a_text_is_refused_or_loads_again(config, text):
    asked = replace(config, output_dir=text, dataset={**config.dataset, "path": text})
    assert bool(unstorable(asked)) == (text in REFUSED)
    if text not in REFUSED:
        assert (
            stored_config(json.loads(json.dumps(asked.to_dict()))) == asked == stored_config(plain_yaml(as_yaml(asked)))
        )


def nested(levels: int):
    return {"a": nested(levels - 1)} if levels else 1


NODES = {"too deep": nested(12), "a tuple": (1, 2), "10**5000": 10**5000}


@pytest.mark.parametrize("name", NODES)
def test_settings_of_classes_that_no_file_holds_are_refused(config, name):
    asked = replace(config, optimizer={**config.optimizer, "players": {"model": {"anything": NODES[name]}}})
    assert unstorable(asked)


@pytest.mark.parametrize("name", ["my model", "x" * 101, "é"])
def test_names_that_no_run_may_have_are_refused(config, name):
    assert any(name in line for line in unstorable(replace(config, choices=replace(config.choices, model=name))))


def test_the_start_of_a_run_asks(config, tmp_path):
    with pytest.raises(ValueError, match="output_dir="):
        check(replace(config, output_dir="a${seed}"), tmp_path)


def test_limits_hold_for_every_number_in_lists_and_dicts(config):
    sampling = {"steps": [1, {"deep": float("inf")}]}
    asked = changed(config, "evaluation.sampling", sampling)
    assert list(limit_problems(asked)) and lookup(asked, "evaluation.sampling") == sampling
