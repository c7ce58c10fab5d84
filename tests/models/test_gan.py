import lab
import pytest
import torch

from genlab.contract.data import Batch, DataSpec, image_spec
from genlab.losses.adversarial import BOUNDARY, DISCRIMINATOR, accuracy, squared_slope
from genlab.models.cgan import CGAN
from genlab.models.gan import GAN

SHAPE = (1, 8, 10)
SPEC = image_spec(SHAPE, 3)
SMALL = {"latent_dim": 4}
SIZES = {"channels": 4, "hidden": [16, 8], "dense": [256], "decoder_dense": []}
LABEL_INPUT = {"network": "mlp", "label": "input"}


def build(family: type[GAN], data: DataSpec = SPEC, *, network: str = "conv", sizes=SIZES, **options) -> GAN:
    torch.manual_seed(0)
    return family(data, network=lab.network(network, **sizes), **SMALL | options).double()


def make_batch(size: int = 8, shape: tuple[int, int, int] = SHAPE) -> Batch:
    torch.manual_seed(1)
    images = torch.rand(size, *shape, dtype=torch.float64)
    return Batch({"x": images, "label": torch.arange(size) % 3}, seed=5)


def gradients(model: GAN, batch: Batch, parts: int) -> list[torch.Tensor]:
    """Gradients of every update of step 0, averaged over micro-batches that advance together."""
    turns = [model.training_step(part, 0) for part in batch.split(parts)]
    found = []
    for updates in zip(*turns, strict=True):
        parameters = [p for p in model.players()[updates[0].player].parameters() if p.requires_grad]
        loss = sum(update.loss for update in updates) / parts
        found += torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
    return found


AUGMENTED = {"augment": ["translation", "cutout"], "consistency": 2.0}


@pytest.mark.parametrize(
    ("family", "options"),
    [
        (GAN, AUGMENTED),
        (GAN, {"pack": 2, "penalty_at": "data", "loss": "relativistic"}),
        (GAN, {"loss": "energy"}),
        (CGAN, AUGMENTED),
        (CGAN, LABEL_INPUT),
        (CGAN, {"label": "auxiliary"}),
    ],
    ids=str,
)
def test_four_micro_batches_give_the_gradients_of_one_batch_with_all_penalties(family, options):
    model = build(
        family, **{"normalization": "none", "gradient_penalty": 10.0, "r1_gamma": 1.0, "r2_gamma": 1.0} | options
    )
    for one, four in zip(gradients(model, make_batch(), 1), gradients(model, make_batch(), 4), strict=True):
        assert torch.allclose(one, four, atol=1e-10)


def test_turns_depend_on_the_step():
    model = build(GAN, critic_steps=3, r1_gamma=1.0, r1_every=2)
    turns = ["".join(update.player[0] for update in model.training_step(make_batch(), step)) for step in range(6)]
    assert turns == ["dd", "d", "ddg", "d", "dd", "dg"]


def test_lazy_r1_has_the_weight_of_the_steps_it_stands_for():
    model, batch = build(GAN, r1_gamma=0.5, r1_every=8), make_batch()
    _, update, _ = model.training_step(batch, 0)
    assert torch.allclose(update.loss, 0.5 * 8 * squared_slope(model.discriminate, 2 * batch["x"] - 1))


@pytest.mark.parametrize(
    ("loss", "real", "fake", "expected"),
    [
        ("non-saturating", [2.0, 0.1, -1.0, 3.0], [-1.0, -2.0, 1.0, 1.0], (3 / 4 + 2 / 4) / 2),
        ("least-squares", [0.9, 0.4], [0.4, 0.1], (1 / 2 + 1) / 2),
        ("hinge", [0.0, 0.0], [0.0, 0.0], 1 / 2),  # a judge that always says the same knows nothing
    ],
)
def test_accuracy_is_the_share_of_images_judged_rightly(loss, real, fake, expected):
    assert accuracy(loss, torch.tensor(real), torch.tensor(fake)).item() == pytest.approx(expected)


@pytest.mark.parametrize("loss", DISCRIMINATOR)
def test_a_critic_that_knows_no_zero_has_no_accuracy(loss):
    model = build(GAN, loss=loss)
    first = next(model.training_step(make_batch(), 0))
    assert (model.decision_boundary is None) == (loss in {"wasserstein", "relativistic", "energy"})
    assert ("accuracy" in first.log) == (loss in BOUNDARY)


def test_packs_are_read_at_once():
    model, batch = build(GAN, pack=2), make_batch()
    real = 2 * batch["x"] - 1
    assert torch.equal(model.packed(real)[1], torch.cat([real[2], real[3]]))
    assert model.discriminate(model.packed(real)).shape == (4,)
    assert torch.allclose(model.discriminator_score(batch["x"]), model.discriminate(torch.cat([real, real], 1)))
    with pytest.raises(ValueError, match=r"model\.pack=2.*choose model=gan"):
        build(CGAN, pack=2)


def test_an_energy_is_the_error_of_a_reconstruction():
    model, batch = build(GAN, loss="energy"), make_batch()
    x = 2 * batch["x"] - 1
    autoencoder = model.discriminator
    error = (autoencoder.decoder(autoencoder.encoder(x)) - x).square().mean((1, 2, 3))
    assert torch.allclose(model.discriminate(x), -error)


def test_clipped_weights_stay_within_their_bound():
    model = build(GAN, loss="wasserstein", weight_clip=0.01)
    list(model.training_step(make_batch(), 0))
    assert max(weight.abs().max() for weight in model.discriminator.parameters()) == 0.01


def test_an_auxiliary_classifier_is_trained_by_both_players_and_left_out_of_the_score():
    model, batch = build(CGAN, label="auxiliary"), make_batch()
    updates = list(model.training_step(batch, 1))
    assert {"class/real", "class/fake"} <= set(updates[0].log) and set(updates[1].log) == {"class"}
    x = 2 * batch["x"] - 1
    assert torch.equal(model.discriminate(x, {"label": batch["label"]}), model.discriminator(x)[:, 0])


def test_the_augmented_share_grows_while_the_discriminator_is_sure():
    model = build(GAN, augment=["translation"], augment_target=0.6)
    with torch.no_grad():
        model.discriminator.head.bias += 100
    shares = []
    for step in range(9):
        list(model.training_step(make_batch(), step))
        shares.append(model.share.share.item())
    assert shares == pytest.approx([0] * 4 + [4 * 8 / 500_000] * 4 + [8 * 8 / 500_000])


def of_class(label: int, size: int) -> dict[str, torch.Tensor]:
    return {"label": torch.full((size,), label)}


def test_samples_are_of_their_classes():
    model = build(CGAN).eval()

    def sample(condition):
        torch.manual_seed(3)
        return model.sample(6, condition)

    rows = [sample(of_class(label, 6)) for label in range(3)]
    assert not torch.allclose(rows[1], rows[2])
    mixed = sample({"label": torch.tensor([0, 1, 2, 0, 1, 2])})
    assert torch.allclose(mixed, torch.stack([rows[index % 3][index] for index in range(6)]))


@pytest.mark.parametrize("family", [GAN, CGAN])
def test_truncation_bounds_the_noise(family):
    model = build(family).eval()
    seen = []
    model.generator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    condition = of_class(1, 200) if family is CGAN else None
    model.sample(200, condition, truncation=0.5)
    model.sample(200, condition)
    assert seen[0][:, :4].abs().max() <= 0.5 < seen[1][:, :4].abs().max()


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_the_conditional_discriminator_is_a_projection(network):
    model, batch = build(CGAN, network=network), make_batch()
    x, label = batch["x"], batch["label"]
    phi = model.discriminator.body(x.flatten(1) if network == "mlp" else x)
    head = model.discriminator.head
    embedding = head.weight[1:][label]
    expected = phi @ head.weight[0] + head.bias[0] + (embedding * phi).sum(1) + head.bias[1:][label]
    assert torch.allclose(model.discriminate(x, {"label": label}), expected)


def test_a_label_that_is_an_input_stands_beside_the_image():
    model, batch = build(CGAN, **LABEL_INPUT), make_batch()
    x, label = batch["x"], batch["label"]
    rows = torch.cat([x.flatten(1), torch.eye(3, dtype=x.dtype)[label]], dim=1)
    assert model.discriminator.body[0].in_features == rows.shape[1]
    logits, of_another = model.discriminate(x, {"label": label}), model.discriminate(x, {"label": (label + 1) % 3})
    assert torch.allclose(logits, model.discriminator(rows).squeeze(1))
    assert not torch.allclose(logits, of_another)


def test_only_the_mlp_takes_labels_as_an_input():
    with pytest.raises(ValueError, match=r"model\.label=input.*network=dcgan; choose network=mlp"):
        build(CGAN, image_spec((1, 16, 16), 3), network="dcgan", label="input")


@pytest.mark.parametrize("options", [{"network": "conv"}, LABEL_INPUT], ids=str)
def test_realness_without_a_label_is_that_of_an_even_mixture_of_classes(options):
    model, x = build(CGAN, **options).eval(), make_batch()["x"]
    odds = [model.discriminate(2 * x - 1, of_class(y, len(x))).exp() for y in range(3)]
    assert torch.allclose(model.discriminator_score(x).exp(), sum(odds) / 3)


@pytest.mark.parametrize(("network", "passes"), [("mlp", [16, 8]), ("conv", [16, 8]), ("dcgan", [8, 8, 8])])
def test_real_and_generated_images_are_judged_together_unless_that_would_mix_them(network, passes):
    shape = (1, 16, 16)
    model = build(CGAN, image_spec(shape, 3), network=network, r1_gamma=0.0)
    rows = []
    model.discriminator.register_forward_hook(lambda network, inputs, output: rows.append(len(inputs[0])))
    batch = make_batch(8, shape)
    real, condition = 2 * batch["x"] - 1, {"label": batch["label"]}
    first, _ = model.training_step(batch, 0)
    assert rows == passes
    batch.draws = 0
    fake = model.generate(batch.randn(4), condition)
    expected = model.discriminate(real, condition).mean(), model.discriminate(fake, condition).mean()
    assert torch.allclose(torch.stack([first.log["real_logit"], first.log["fake_logit"]]), torch.stack(expected))


@pytest.mark.parametrize(
    ("network", "key", "other"),
    [("dcgan", "r1_gamma", "gradient_penalty"), ("upsampling", "gradient_penalty", "r1_gamma")],
)
def test_penalties_of_a_discriminator_that_normalizes_batches_are_refused(network, key, other):
    message = (
        rf"model\.{key}=0\.5.*network={network} .*set model\.r1_gamma=0 model\.r2_gamma=0 model\.gradient_penalty=0"
    )
    with pytest.raises(ValueError, match=message):
        build(GAN, image_spec((1, 16, 16)), network=network, **{key: 0.5, other: 0.0})


def test_the_mlp_generator_can_have_layers_and_a_nonlinearity_of_its_own():
    def widths(sizes, **options):
        generator = build(GAN, network="mlp", sizes=SIZES | sizes, **options).generator
        return [layer.out_features for layer in generator.body if isinstance(layer, torch.nn.Linear)], generator

    assert widths({})[0] == [8, 16]
    found, generator = widths({"decoder_hidden": [5, 6, 7]}, generator_activation="silu")
    assert found == [5, 6, 7]
    assert any(isinstance(layer, torch.nn.SiLU) for layer in generator.modules())


@pytest.mark.parametrize("network", ["mlp", "conv", "upsampling"])
def test_dropout_is_the_discriminators(network):
    model = build(GAN, image_spec((1, 8, 8)), network=network, r1_gamma=0.0, dropout=0.4)
    dropped = {
        name: [layer.p for layer in player.modules() if isinstance(layer, torch.nn.Dropout | torch.nn.Dropout2d)]
        for name, player in model.players().items()
    }
    assert dropped["generator"] == []
    assert set(dropped["discriminator"]) == {0.4}


@pytest.mark.slow  # as `tests/laws/test_compile.py`
def test_penalties_work_beside_compiled_networks():
    plain, compiled = (build(CGAN, r1_gamma=1.0, gradient_penalty=10.0, loss="wasserstein") for _ in range(2))
    for network in compiled.children():
        network.compile(backend="aot_eager")
    for one, other in zip(gradients(plain, make_batch(), 1), gradients(compiled, make_batch(), 1), strict=True):
        assert torch.allclose(one, other, atol=1e-10)


def test_half_precision_leaves_the_penalty_alone():
    model, batch = build(GAN).float(), make_batch()
    real = 2 * batch["x"].float() - 1
    with torch.autocast("cpu", dtype=torch.bfloat16):
        penalty = squared_slope(model.discriminate, real)
    assert penalty == squared_slope(model.discriminate, real)


def test_images_of_its_own_are_as_near_and_as_diverse_as_can_be_and_those_of_a_collapsed_generator_all_alike():
    model = build(GAN).eval()
    with torch.no_grad():
        own = (1 + model.generate(make_batch().randn(4))) / 2
        measured = model.evaluate(Batch({"x": own}, seed=5))
        for parameter in model.generator.parameters():
            parameter.zero_()
        collapsed = model.evaluate(make_batch())
    assert measured["sliced_wasserstein"].item() == pytest.approx(0, abs=1e-10)
    assert measured["diversity"].item() == pytest.approx(1)
    assert collapsed["diversity"].item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("images", [torch.rand(1, *SHAPE), torch.ones(5, *SHAPE)], ids=["one", "constant"])
def test_the_diversity_of_one_image_and_of_constant_images_is_left_out(images):
    assert set(build(GAN).evaluate(Batch({"x": images.double()}, 0))) == {"sliced_wasserstein"}


@pytest.mark.parametrize("size, rows", [(25, 10), (4, 4)])
def test_previews_of_classes_have_one_a_column_and_the_same_noise_along_a_row(size, rows):
    model = build(CGAN, image_spec(SHAPE, 3, ("cat", "dog", "owl")), network="mlp", sizes={"hidden": [8]})
    seen = lab.inputs_of(model.generator)
    with torch.no_grad():
        grid = model.eval().preview(make_batch(size))["samples"]
    assert grid.examples.shape == (rows, 3, *SHAPE) and grid.columns == ["cat", "dog", "owl"]
    z, label = seen[0].view(rows, 3, 7).split([4, 3], dim=-1)
    assert torch.equal(z, z[:, :1].expand_as(z)) and torch.equal(label, torch.eye(3).expand_as(label))
