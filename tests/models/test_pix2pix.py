"""pix2pix: its losses by hand, what its discriminator reads, noise when it translates, label maps as classes."""

import pytest
import torch
from torch.nn.functional import l1_loss, softplus

from genlab.contract.data import Batch, DataSpec, Field
from genlab.models.pix2pix import Pix2Pix
from genlab.networks.unet import UNetNetwork
from genlab.system.seeding import seeded

PALETTE = ("000000", "ff0000", "00ff00", "0000ff")


def data_of(a=None):
    return DataSpec({"a": a or Field("image", (1, 16, 16)), "b": Field("image", (3, 16, 16))}, paired=True)


def make(data=None, dropout=0.0, **options):
    network = UNetNetwork(channels=8, max_channels=16, dropout=dropout)
    with seeded(0):
        return Pix2Pix(data or data_of(), network=network, discriminator_width=4, **options).double()


def make_batch(data=None, size=4):
    with seeded(1):
        fields = {name: torch.rand(size, *(data or data_of())[name].shape, dtype=torch.float64) for name in "ab"}
    return Batch(fields, seed=0)


def pieces(model, batch):
    """a and b as the networks see them, the translation, and the logits of both pairs."""
    a, b = 2 * batch["a"] - 1, 2 * batch["b"] - 1
    fake = model.translator(a).tanh()
    return fake, b, model.discriminator(torch.cat([a, b], 1)), model.discriminator(torch.cat([a, fake], 1))


def test_losses_are_those_of_the_paper():
    model, batch = make(), make_batch()
    fake, b, on_real, on_fake = pieces(model, batch)
    discriminator, generator = model.training_step(batch, 0)
    assert (discriminator.player, generator.player) == ("discriminator", "generator")
    torch.testing.assert_close(discriminator.loss, (softplus(-on_real) + softplus(on_fake)).mean() / 2)
    torch.testing.assert_close(generator.loss, softplus(-on_fake).mean() + 100 * l1_loss(fake, b))
    torch.testing.assert_close(generator.log["l1"], l1_loss(model.translate(batch["a"], "b"), batch["b"]))


def test_least_squares():
    model, batch = make(loss="least-squares", l1_weight=0.0), make_batch()
    _, _, on_real, on_fake = pieces(model, batch)
    discriminator, generator = model.training_step(batch, 0)
    torch.testing.assert_close(discriminator.loss, ((on_real - 1).square() + on_fake.square()).mean() / 2)
    torch.testing.assert_close(generator.loss, (on_fake - 1).square().mean())


def test_an_unconditional_discriminator_reads_b_alone():
    model, batch = make(conditional_discriminator=False), make_batch()
    assert next(model.discriminator.parameters()).shape[1] == 3
    on_fake = model.discriminator(2 * model.translate(batch["a"], "b") - 1)
    _, generator = model.training_step(batch, 0)
    torch.testing.assert_close(generator.log["adversarial"], softplus(-on_fake).mean())


def test_dropout_is_noise_when_it_translates_and_validations_repeat_it():
    model, batch = make(dropout=0.5).eval(), make_batch()
    first, second = (model.translate(batch["a"], "b") for _ in range(2))
    assert model.noisy == ("translate",) and not torch.equal(first, second)
    assert torch.equal(model.evaluate(batch)["l1"], model.evaluate(batch)["l1"])
    still = make().eval()
    assert still.noisy == () and torch.equal(*(still.translate(batch["a"], "b") for _ in range(2)))


def test_label_maps_are_seen_as_classes():
    data = data_of(Field("image", (3, 16, 16), palette=PALETTE))
    model, batch = make(data), make_batch(data)
    seen = model.from_a(torch.tensor([0.9, 0.1, 0.2])[None, :, None, None].expand(1, 3, 16, 16))
    assert seen.shape == (1, 4, 16, 16) and seen[:, 1].all() and seen.sum() == 256
    assert next(model.discriminator.parameters()).shape[1] == 4 + 3
    assert all(update.loss.isfinite() for update in model.training_step(batch, 0))


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match=r"model\.l1_weight=-1"):
        make(l1_weight=-1)
