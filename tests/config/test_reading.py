"""What stands on a command line, in a form that Hydra reads."""

from functools import partial

import pytest

from genlab.config.compose import compose_job, register
from genlab.config.hints import hint_of
from genlab.config.reading import parse, readable, with_whole_numbers
from genlab.contract.settings import RunConfig

TEXTS = ["~/pics", "Jürgen", "картины/写真", "/data/a=b", "a#b", "c&d<e>f^g", "!", "e\u0301", "\udce4"]


@pytest.mark.parametrize("text", TEXTS)
def test_letters_of_any_script_need_no_quotes(text):
    (alone,) = parse([readable(f"dataset.path={text}")])
    (listed,) = parse([readable(f"images=[a.png,{text}]")])
    (varied,) = parse([readable(f"dataset.path={text},b")])
    assert str(alone.value()) == text
    assert list(map(str, listed.value())) == ["a.png", text]
    assert varied.is_sweep_override()


def test_what_hydra_reads_stays():
    lines = ["a=b", "a=[b,c]", 'a="ü, ö"', "a=${oc.env:HOME}/x", "a=My pictures", "a={b:1}", "a", "a={"]
    assert list(map(readable, lines)) == lines
    assert readable("a=${oc.env:HOME}/ü") == 'a="${oc.env:HOME}/ü"'
    assert readable("a={b:ü}") == 'a={b:"ü"}'


@pytest.mark.parametrize(
    ("line", "read"),
    {
        "trainer.max_steps=1e3": "1000",
        "trainer.max_steps=1000.0": "1000",
        "trainer.max_steps=1e3,2e3": "1000,2000",
        "seed=1e23": f"{10**23}",
        "trainer.max_steps=1e3.5": "1e3.5",
        "trainer.max_steps=1.5": "1.5",
        "trainer.max_steps=1e400": "1e400",
        "trainer.max_epochs=1e1": "1e1",
        "output_dir=1e3": "1e3",
    }.items(),
)
def test_whole_numbers_may_be_written_as_floats(line, read):
    assert with_whole_numbers(line, partial(hint_of, RunConfig)).partition("=")[2] == read


def test_whole_numbers_of_classes_may_be_written_as_floats():
    register()
    config = compose_job(["model.latent_dim=1e1", "network.hidden=[1.6e1,8.0]", "dataset.size=28.0"]).config
    found = (config.model["latent_dim"], config.network["hidden"], config.dataset["size"])
    assert repr(found) == "(10, [16, 8], 28)"
    assert isinstance(compose_job(["optimizer.lr=1e0"]).config.optimizer["lr"], float)
