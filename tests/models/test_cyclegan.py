"""CycleGAN: its losses against the paper's equations, translations, scores, previews, slices of a batch."""

import pytest
import torch
from torch.nn.functional import l1_loss

from genlab.contract.data import Batch, DataSpec
from genlab.models.cyclegan import CycleGAN
from genlab.system.seeding import seeded


def make_model(shape=(3, 16, 16), **options):
    with seeded(0):
        data = DataSpec(shape, domains=("a", "b"))
        return CycleGAN(data, **{"blocks": 1, "width": 4, "discriminator_width": 4, **options}).double()


def make_batch(shape=(3, 16, 16), size=4, seed=0, **fields):
    with seeded(seed, 1):
        images = {domain: torch.rand(size, *shape, dtype=torch.float64) for domain in ("a", "b")}
    return Batch({**images, **fields}, seed)


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 28, 20), (3, 17, 23), (2, 8, 8)])
def test_serves_any_shape(shape):
    model, batch = make_model(shape), make_batch(shape, size=2)
    updates = list(model.training_step(batch, 0))
    assert [update.player for update in updates] == ["generators", "discriminators"]
    assert all(update.loss.isfinite() and update.loss.dim() == 0 for update in updates)
    for domain in ("a", "b"):
        translation = model.translate(batch[domain], "b" if domain == "a" else "a")
        assert translation.shape == (2, *shape)
        assert translation.min() >= 0 and translation.max() <= 1


def test_losses_are_those_of_the_paper():
    model, batch = make_model(), make_batch()
    update, judgement = model.training_step(batch, 0)
    a, b = 2 * batch["a"] - 1, 2 * batch["b"] - 1
    to_b, to_a = model.generators["a_to_b"], model.generators["b_to_a"]
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


def test_players_share_nothing_and_pools_are_nobodys():
    model = make_model()
    parameters = [{id(value) for value in player.parameters()} for player in model.players().values()]
    assert not parameters[0] & parameters[1]
    assert parameters[0] | parameters[1] == {id(value) for value in model.parameters()}
    assert "pools.a.images" in model.state_dict()


def test_the_discriminators_learn_nothing_from_the_generators_update():
    model = make_model()
    update, judgement = model.training_step(make_batch(), 0)
    assert all(
        gradient is None
        for gradient in torch.autograd.grad(judgement.loss, list(model.generators.parameters()), allow_unused=True)
    )
    for gradient in torch.autograd.grad(update.loss, list(model.generators.parameters())):
        assert gradient.isfinite().all()


def test_slices_of_a_batch_add_up_to_the_whole_batch():
    whole, sliced = make_model(pool_size=6), make_model(pool_size=6)
    for step in range(5):
        batch = make_batch(size=8, seed=step)
        steps = [sliced.training_step(part, step) for part in batch.split(4)]
        for update in whole.training_step(batch, step):
            parts = [next(part) for part in steps]
            torch.testing.assert_close(update.loss, torch.stack([part.loss for part in parts]).mean())
    for one, other in zip(whole.buffers(), sliced.buffers(), strict=True):
        torch.testing.assert_close(one, other)


def test_counterpart_error_is_one_for_doing_nothing_and_zero_for_the_truth(monkeypatch):
    model = make_model()
    batch = make_batch(a_as_b=torch.zeros(4, 3, 16, 16), b_as_a=torch.ones(4, 3, 16, 16))
    monkeypatch.setattr(model, "translate", lambda x, to: x)
    scores = model.evaluate(batch)
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


def test_every_ranked_metric_is_evaluated():
    truth = torch.zeros(4, 3, 16, 16)
    assert make_model().evaluate(make_batch(a_as_b=truth, b_as_a=truth)).keys() >= CycleGAN.metrics.keys()


def test_preview_shows_images_translations_and_cycles_of_both_domains():
    model, batch = make_model(), make_batch()
    rows = model.preview(batch)["translations"]
    assert rows.shape == (6, 4, 3, 16, 16)
    assert torch.equal(rows[0], batch["a"]) and torch.equal(rows[3], batch["b"])
    torch.testing.assert_close(rows[1], model.translate(batch["a"], "b"))
    torch.testing.assert_close(rows[5], model.translate(rows[4], "b"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (3, 16, 7)}, r"16x7.*at least 8"),
        ({"cycle_weight": -1}, r"cycle_weight=-1: must be at least 0"),
        ({"identity_weight": -0.5}, r"identity_weight=-0.5: must be at least 0"),
        ({"pool_size": -1}, r"pool_size=-1: must be at least 0"),
        ({"discriminator_width": 0}, r"discriminator_width=0: must be at least 1"),
        ({"width": 0}, r"model\.width=0: must be at least 1"),
    ],
)
def test_refuses_bad_values_with_the_way_out(options, message):
    with pytest.raises(ValueError, match=message):
        make_model(**options)


def test_translate_refuses_other_domains():
    with pytest.raises(ValueError, match=r"to='c': choose from a, b"):
        make_model().translate(make_batch()["a"], "c")
