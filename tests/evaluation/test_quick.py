"""A first answer: fewer samples and images, no classifier, and a protocol that keeps it apart from full ones."""

import pytest
import torch
from test_evaluate import subject

from genlab.commands.requests import compose_request
from genlab.data.source import ArrayExamples, Source
from genlab.evaluation import features
from genlab.evaluation.choosing import choose
from genlab.evaluation.context import EvaluationContext
from genlab.evaluation.evaluate import evaluate
from genlab.evaluation.real_images import with_few
from genlab.metrics.catalogue import COMPARABLE


@pytest.mark.parametrize(
    "asked, values",
    [
        ([], (10_000, None, 64)),
        (["quick=true"], (2_500, 2_000, 8)),
        (["quick=true", "num_samples=10000", "importance_samples=3"], (10_000, 2_000, 3)),
        (["num_images=7"], (10_000, 7, 64)),
    ],
)
def test_quick_sets_what_is_not_given(asked, values):
    config = compose_request("evaluate", asked)
    assert (config.num_samples, config.num_images, config.importance_samples) == values


class Two(Source):
    """Unpaired tables of 10 and 4 rows."""

    sizes = {"train": 10, "validation": 10}

    def open(self, split):
        return [ArrayExamples(a=torch.arange(10)), ArrayExamples(b=torch.arange(4))]


def test_few_images_are_evenly_spaced_and_the_other_split_is_whole():
    few = with_few(Two(), "validation", 5)
    a, b = few.open("validation")
    assert few.sizes == {"train": 10, "validation": 5} and (len(a), len(b)) == (5, 4)
    assert a.load()["a"].tolist() == [0, 2, 4, 7, 9] and b.rows(torch.tensor([3]))["b"] == 3
    assert len(few.open("train")[0]) == 10
    whole = Two()
    assert with_few(whole, "validation", 10) is whole, "the data keep their hash"


def quick(run, context: EvaluationContext) -> EvaluationContext:
    settings = {"num_images": 70, "quick": True}
    return EvaluationContext(context.source, context.title, context.settings, context.config, run.device, **settings)


@pytest.mark.parametrize("model", ["vae", "cgan", "cyclegan"])
def test_a_quick_answer_trains_no_classifier_and_compares_with_no_full_one(model, monkeypatch):
    monkeypatch.setattr(features, "load_classifier", lambda *_: pytest.fail("trained"))
    run, context = subject(model)
    context.settings.extractor = "auto"
    context = quick(run, context)
    names = choose(run, context, None)
    found = evaluate(run, context, names)
    assert "copies" not in names and found
    run, context = subject(model)
    full = evaluate(run, context, names)
    for name, entry in found.items():
        one, other = entry["protocol"], full[name]["protocol"]
        assert any(one.get(key) != other.get(key) for key in COMPARABLE), name


def test_copies_are_looked_for_among_all_training_images_if_asked_for():
    context = quick(*subject("gan"))
    run, _ = subject("gan")
    entry = evaluate(run, context, choose(run, context, ["copies"]))["copying_gap"]
    assert (entry["protocol"]["training_images"], entry["protocol"]["held_out_images"]) == (96, 100)
