"""CycleGAN: its losses against the paper's equations, translations, scores, previews, slices of a batch."""

import pytest
import torch
from torch.nn.functional import l1_loss

from genlab.contract.data import Batch, DataSpec, Field
from genlab.models.cyclegan import CycleGAN
from genlab.networks.resnet import ResNet
from genlab.system.seeding import seeded


def make_model(shape=(3, 16, 16), **options):
    with seeded(0):
        data = DataSpec({side: Field("image", shape) for side in "ab"})
        return CycleGAN(data, network=ResNet(4, 1, "zeros", "pixel"), **{"discriminator_width": 4, **options}).double()


def make_batch(shape=(3, 16, 16), size=4, seed=0, **fields):
    with seeded(seed, 1):
        images = {domain: torch.rand(size, *shape, dtype=torch.float64) for domain in ("a", "b")}
    return Batch({**images, **fields}, seed)


def test_losses_are_those_of_the_paper():
    model, batch = make_model(), make_batch()
    update, judgement = model.training_step(batch, 0)
    a, b = 2 * batch["a"] - 1, 2 * batch["b"] - 1
    to_b, to_a = (lambda x, g=model.generators[name]: g(x).tanh() for name in ("a_to_b", "b_to_a"))
    judge_a, judge_b = model.discriminators["a"], model.discriminators["b"]
    adversarial = (judge_b(to_b(a)) - 1).square().mean() + (judge_a(to_a(b)) - 1).square().mean()
    cycle = (to_a(to_b(a)) - a).abs().mean() + (to_b(to_a(b)) - b).abs().mean()
    identity = (to_b(b) - b).abs().mean() + (to_a(a) - a).abs().mean()
    torch.testing.assert_close(update.loss, adversarial + 10 * cycle + 5 * identity)
    torch.testing.assert_close(update.log["cycle"], cycle)
    torch.testing.assert_close(update.log["identity"], identity)

    # The pool is empty at the first step, so the discriminators see the translations themselves.
    on_real = (judge_b(b) - 1).square().mean() + (judge_a(a) - 1).square().mean()
    on_fake = judge_b(to_b(a)).square().mean() + judge_a(to_a(b)).square().mean()
    torch.testing.assert_close(judgement.loss, (on_real + on_fake) / 2)


@pytest.mark.parametrize(("layers", "judgements"), [(None, 6), (1, 14), (3, 2)])
def test_the_discriminators_layers_can_be_chosen(layers, judgements):
    model = make_model((3, 32, 32), discriminator_layers=layers)
    for discriminator in model.discriminators.values():
        assert discriminator(torch.zeros(1, 3, 32, 32, dtype=torch.float64)).shape[2:] == (judgements, judgements)


def test_identity_weight_zero_leaves_only_that_term_out():
    batch = make_batch()
    update, without = (next(make_model(identity_weight=weight).training_step(batch, 0)) for weight in (0.5, 0.0))
    assert "identity" not in without.log
    torch.testing.assert_close(update.loss - 5 * update.log["identity"], without.loss)


def test_counterpart_error_is_one_for_doing_nothing_and_zero_for_the_truth(monkeypatch):
    model = make_model()
    batch = make_batch(a_as_b=torch.zeros(4, 3, 16, 16), b_as_a=torch.ones(4, 3, 16, 16))
    monkeypatch.setattr(model, "translate", lambda x, to: x)
    scores = model.evaluate(batch)
    assert scores.keys() >= CycleGAN.metrics.keys(), "every ranked metric is evaluated"
    assert scores["cycle_error"] == 0
    assert scores["paired_error/a"] == scores["paired_error/b"] == scores["paired_error"] == 1

    monkeypatch.setattr(model, "translate", lambda x, to: torch.full_like(x, float(to == "a")))
    scores = model.evaluate(batch)
    assert scores["paired_error/a"] == scores["paired_error/b"] == 0
    torch.testing.assert_close(scores["cycle_error"], ((1 - batch["a"]).mean() + batch["b"].mean()) / 2)


def test_without_counterparts_only_the_cycle_and_the_distance_are_scored():
    model, batch = make_model(), make_batch()
    scores = model.evaluate(batch)
    assert scores.keys() == {"cycle_error", "sliced_wasserstein"}
    errors = [
        l1_loss(model.translate(model.translate(batch[domain], other), domain), batch[domain])
        for domain, other in (("a", "b"), ("b", "a"))
    ]
    torch.testing.assert_close(scores["cycle_error"], sum(errors) / 2)


def test_after_identity_steps_the_step_is_one_without_identity():
    batch, model = make_batch(), make_model(identity_steps=2)
    before, after = (next(model.training_step(batch, step)) for step in (1, 2))
    without = next(make_model(identity_weight=0.0).training_step(batch, 2))
    assert "identity" in before.log and "identity" not in after.log
    torch.testing.assert_close(after.loss, without.loss)


def test_preview_shows_images_translations_and_cycles_of_both_domains():
    model, batch = make_model(), make_batch()
    rows = model.preview(batch)["translations"].examples
    assert rows.shape == (6, 4, 3, 16, 16)
    assert torch.equal(rows[0], batch["a"]) and torch.equal(rows[3], batch["b"])
    torch.testing.assert_close(rows[1], model.translate(batch["a"], "b"))
    torch.testing.assert_close(rows[5], model.translate(rows[4], "b"))


def test_a_domain_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match=r"to=c: .* a and b; give to=b"):
        make_model().translate(make_batch()["a"], "c")


def test_no_error_is_relative_to_the_difference_of_domains_that_are_alike():
    x = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    assert set(make_model().evaluate(Batch(dict.fromkeys(("a", "b", "a_as_b", "b_as_a"), x), 0))) == {
        "cycle_error",
        "sliced_wasserstein",
    }
