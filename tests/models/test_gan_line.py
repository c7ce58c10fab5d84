"""GANs that predict codes, encode, grow, or read images of several sizes."""

import lab
import pytest
import torch

from genlab.contract.data import Batch, image_spec
from genlab.models.bigan import BiGAN
from genlab.models.cgan import CGAN
from genlab.models.gan import GAN
from genlab.models.infogan import InfoGAN
from genlab.models.lapgan import LAPGAN
from genlab.models.msg_gan import MSGGAN
from genlab.models.progressive import Progressive
from genlab.models.sgan import SGAN
from genlab.networks.multi_scale import resized

SPEC = image_spec((1, 16, 20), 3)
SIZES = {"channels": 4, "max_channels": 8, "hidden": [16]}


def build(family, network="conv", **options):
    torch.manual_seed(0)
    return family(SPEC, network=lab.network(network, **SIZES), **{"latent_dim": 4} | options).double()


def make_batch(size=8):
    torch.manual_seed(1)
    x = torch.rand(size, *SPEC.shape, dtype=torch.float64)
    return Batch({"x": x, "label": torch.arange(size) % 3}, seed=5)


def test_infogans_codes_are_uniform_and_its_samples_depend_on_them():
    model = build(InfoGAN, categories=5, continuous=2).eval()
    z = model.prior(20_000).double()
    category, numbers = model.code(z)
    assert category.bincount() / len(z) == pytest.approx([0.2] * 5, abs=0.02)
    assert numbers.mean().item() == pytest.approx(0, abs=0.02) and numbers.std().item() == pytest.approx(
        3**-0.5, abs=0.02
    )
    first = z[:1].repeat(5, 1)
    first[:, 4:9] = torch.eye(5, dtype=z.dtype)
    assert len(model.decode(first).flatten(1).unique(dim=0)) == 5
    assert model.classify(torch.rand(3, *SPEC.shape, dtype=z.dtype)).shape == (3, 5)


def test_infogans_codes_have_names():
    model = build(InfoGAN, categories=2, continuous=1)
    wanted = ["", "category 0", "category 1", "number 0"]
    assert [model.latent_name(latent) for latent in range(3, 7)] == wanted


def test_infogans_players_share_the_code():
    model = build(InfoGAN, categories=5, continuous=0)
    discriminator, generator = model.training_step(make_batch(), 1)
    assert "category/fake" in discriminator.log and "category/real" not in discriminator.log
    assert set(generator.log) == {"category"}


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_bigans_players_want_the_opposite_of_the_same_pairs(network):
    model, batch = build(BiGAN, network, r1_gamma=0.0), make_batch()
    discriminator, generator = model.training_step(batch, 1)
    x, z = 2 * batch["x"] - 1, Batch(batch.fields, seed=5).randn(4)
    found = torch.cat([x.flatten(1), model.encoder(x)], 1)
    made = torch.cat([model.generate(z).flatten(1), z], 1)
    logits = model.discriminator(found).squeeze(1), model.discriminator(made).squeeze(1)
    loss = torch.nn.functional.softplus
    assert torch.allclose(discriminator.loss, (loss(-logits[0]) + loss(logits[1])).mean())
    assert torch.allclose(generator.loss, (loss(logits[0]) + loss(-logits[1])).mean())
    assert model.reconstruct(batch["x"]).shape == batch["x"].shape


def test_a_growing_gan_fades_between_two_sizes():
    model = build(Progressive, "multi-scale", planned_steps=50, grown=0.5).eval()  # 10 steps for each of 3 sizes
    phases = [model.phase(step) for step in (0, 9, 10, 12, 15, 19, 20, 25)]
    assert phases == pytest.approx([0, 0, 0, 0.4, 1, 1, 1, 2])
    z, images = torch.randn(2, 4, dtype=torch.float64), {}
    for phase in (0.0, 0.25, 1.0, 2.0, 7.0):
        model.generator.grow(phase)
        images[phase] = model.generator(z)
    assert torch.allclose(images[0.25], 0.25 * images[1.0] + 0.75 * images[0.0])
    assert torch.equal(images[2.0], images[7.0]) and torch.equal(
        images[0.0][..., :4, :4].flatten(1).std(1), torch.zeros(2)
    )
    x = torch.rand(2, *SPEC.shape, dtype=torch.float64)
    model.discriminator.grow(0.0)
    blurred = resized(resized(x, (4, 5)), (16, 20))
    assert torch.allclose(model.discriminate(x), model.discriminate(blurred)), "only the smallest size is read"


def test_how_far_a_network_has_grown_is_saved():
    sizes = {"planned_steps": 50, "grown": 0.5}
    model, other = (build(Progressive, "multi-scale", **sizes) for _ in range(2))
    list(model.training_step(make_batch(), 12))
    other.load_state_dict(model.state_dict())
    z = torch.randn(2, 4, dtype=torch.float64)
    assert other.generator.fading and torch.equal(model.eval().decode(z), other.eval().decode(z))


def test_real_images_fade_as_generated_ones_do():
    model, batch = build(Progressive, "multi-scale", planned_steps=50, grown=0.5), make_batch()
    real, whole = model.compared(batch, 12)[0], 2 * batch["x"] - 1
    small, larger = (resized(resized(whole, size), (16, 20)) for size in ((4, 5), (8, 10)))
    assert torch.allclose(real, 0.4 * larger + 0.6 * small, atol=1e-6)
    assert torch.equal(model.compared(batch, 40)[0], whole)


def test_msg_gans_discriminator_reads_every_size():
    model, batch = build(MSGGAN, "multi-scale"), make_batch()
    real, fake, _ = model.compared(batch, 0)
    assert real.shape == fake.shape == (8, 16 * 20 + 8 * 10 + 4 * 5)
    assert torch.allclose(real[:, :20], resized(2 * batch["x"] - 1, (4, 5)).flatten(1))
    for start, size in ((0, 20), (20, 80), (100, 320)):
        other = real.clone()
        other[:, start : start + size] += 1
        assert not torch.allclose(model.discriminate(other), model.discriminate(real))


def test_sgan_learns_classes_from_labelled_images_and_realness_from_all():
    model, batch = build(SGAN, label_weight=3.0), make_batch()
    fields = batch.fields | {"labelled": torch.tensor([4, 0, 0, 0, 4, 0, 0, 0])}
    first = next(model.training_step(Batch(fields, seed=5), 1))
    outputs = model.discriminator(2 * batch["x"] - 1)
    error = torch.nn.functional.cross_entropy(outputs, batch["label"], reduction="none")
    assert torch.allclose(first.log["class/real"], 3 * (error[0] + error[4]) / 2)
    assert torch.allclose(first.log["real_logit"], outputs.logsumexp(1).mean())
    everything = next(model.training_step(batch, 1))
    assert torch.allclose(everything.log["class/real"], 3 * error.mean())


def test_lapgan_adds_detail_to_enlarged_images():
    model = build(LAPGAN, levels=2).eval()
    assert model.sizes == [(8, 10), (16, 20)], "no images of fewer than 8 pixels"
    z = torch.randn(3, 8, dtype=torch.float64)
    small = model.at(0, z[:, :4], None)
    detail = model.generators[1](resized(small, (16, 20)), z[:, 4:])
    assert torch.allclose(model.decode(z), ((1 + resized(small, (16, 20)) + detail) / 2).clamp(0, 1))


def test_conditional_normalization_gives_each_block_a_part_of_the_noise():
    model = build(CGAN, "residual", normalization="conditional", latent_dim=8).eval()
    assert model.generator.parts == [4, 2, 2]
    with pytest.raises(ValueError, match=r"model\.latent_dim=1.*choose at least 3"):
        build(GAN, "residual", normalization="conditional", latent_dim=1)
    with pytest.raises(ValueError, match=r"normalization='conditional': choose from none, batch"):
        build(CGAN, "conv", normalization="conditional")


@pytest.mark.parametrize(("family", "network"), [(Progressive, "conv"), (MSGGAN, "dcgan")])
def test_other_networks_have_no_images_of_all_sizes(family, network):
    with pytest.raises(ValueError, match="choose network=multi-scale"):
        build(family, network)
