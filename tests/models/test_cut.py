"""CUT: its losses by hand, one direction, and networks that it cannot read."""

import pytest
import torch

from genlab.contract.data import Batch, DataSpec, Field
from genlab.losses.contrastive import patch_contrast
from genlab.models.cut import CUT
from genlab.networks.resnet import ResNet
from genlab.networks.unet import UNetNetwork
from genlab.system.seeding import seeded

SHAPE = (3, 16, 16)
DATA = DataSpec({side: Field("image", SHAPE) for side in "ab"})


def make(network=None, data=DATA, **options):
    with seeded(0):
        network = network or ResNet(4, 3, "zeros", "pixel")
        return CUT(data, network=network, discriminator_width=4, **options).double()


def make_batch(size=3):
    with seeded(1):
        return Batch({side: torch.rand(size, *SHAPE, dtype=torch.float64) for side in "ab"}, 0)


def test_losses_are_those_of_the_paper():
    """With as many patches as the smallest map has places, and an order that does not matter: all of them."""
    model, batch = make(patches=16 * 16), make_batch()
    a, b = 2 * batch["a"] - 1, 2 * batch["b"] - 1
    fake, same = model.generator(a).tanh(), model.generator(b).tanh()

    def contrast(x, y):
        both = zip(model.heads, model._features(x)[0], model._features(y)[0], strict=True)
        losses = [patch_contrast(*(head(f.flatten(2).mT) for f in (of_y, of_x))) for head, of_x, of_y in both]
        return sum(losses) / len(losses)

    generator, discriminator = model.training_step(batch, 0)
    adversarial = (model.discriminator(fake) - 1).square().mean()
    torch.testing.assert_close(generator.log["contrast"], contrast(a, fake))
    torch.testing.assert_close(generator.loss, adversarial + contrast(a, fake) + contrast(b, same))
    wanted = ((model.discriminator(b) - 1).square() + model.discriminator(fake).square()).mean() / 2
    torch.testing.assert_close(discriminator.loss, wanted)


def test_the_features_are_those_on_the_generators_way():
    model, x = make(), torch.rand(2, *SHAPE, dtype=torch.float64)
    assert [tuple(f.shape[1:]) for f in model._features(x)[0]] == [SHAPE, (8, 8, 8), (16, 4, 4), (16, 4, 4), (16, 4, 4)]


def test_an_identity_weight_of_zero_leaves_that_term_out():
    batch = make_batch()
    without, _ = make(identity_weight=0.0, patches=16).training_step(batch, 0)
    assert "identity" not in without.log


def test_it_translates_one_way():
    model = make()
    assert model.targets == ("b",) and "cycle_error" not in model.evaluate(make_batch())
    with pytest.raises(ValueError, match=r"to=a: .*to=b"):
        model.translate(make_batch()["b"], "a")


def test_networks_without_such_features_are_refused():
    with pytest.raises(ValueError, match=r"network=unet: .*network=resnet"):
        make(UNetNetwork(channels=4))
    with pytest.raises(ValueError, match="model=cut: needs a and b of one shape"):
        make(data=DataSpec({"a": Field("image", (1, 16, 16)), "b": Field("image", SHAPE)}))
