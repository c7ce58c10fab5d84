"""The supervised translator: its loss by hand, one direction, and that it learns a pair."""

import pytest
import torch

from genlab.contract.data import Batch, DataSpec, Field
from genlab.models.translate_l1 import TranslateL1
from genlab.networks.unet import UNetNetwork

DATA = DataSpec({"a": Field("image", (1, 8, 8)), "b": Field("image", (3, 8, 8))}, paired=True)


def model():
    torch.manual_seed(0)
    return TranslateL1(DATA, network=UNetNetwork(channels=8, max_channels=16, normalization="none"))


def batch_of(n=4):
    generator = torch.Generator().manual_seed(1)
    fields = {name: torch.rand(n, *DATA[name].shape, generator=generator) for name in "ab"}
    return Batch(fields, seed=0)


def loss_of(translator, batch):
    (update,) = translator.training_step(batch, 0)
    assert update.player == "model"
    return update.loss


def test_the_loss_is_the_mean_absolute_error():
    translator, batch = model().eval(), batch_of()
    translation = translator.translate(batch["a"], "b")
    assert translation.shape == batch["b"].shape and translation.min() >= 0 and translation.max() <= 1
    torch.testing.assert_close(loss_of(translator, batch), (translation - batch["b"]).abs().mean())
    scores = translator.evaluate(batch)
    torch.testing.assert_close(scores["l1"], loss_of(translator, batch))
    squared = (translation - batch["b"]).square().mean((1, 2, 3))
    torch.testing.assert_close(scores["mse"], squared.mean())
    torch.testing.assert_close(scores["psnr"], (10 * (1 / squared).log10()).mean())
    assert set(translator.metrics) <= set(scores)


def test_it_translates_one_way():
    translator, batch = model(), batch_of()
    assert translator.targets == ("b",)
    with pytest.raises(ValueError, match=r"to=a: .*to=b"):
        translator.translate(batch["b"], "a")


def test_one_batch_is_learnt():
    translator, batch = model(), batch_of()
    smooth = torch.nn.functional.interpolate(batch["b"][..., :4, :4], (8, 8), mode="bilinear")
    batch.fields |= {"b": smooth, "a": smooth.mean(1, keepdim=True)}
    optimizer = torch.optim.Adam(translator.parameters(), lr=1e-2)
    first = loss_of(translator, batch).item()
    for _ in range(60):
        optimizer.zero_grad()
        loss_of(translator, batch).backward()
        optimizer.step()
    assert translator.evaluate(batch)["l1"] < 0.35 * first


def test_previews_show_image_translation_and_truth():
    rows = model().preview(batch_of(11))["translations"].examples
    assert rows.shape == (6, 8, 3, 8, 8)
    batch = batch_of(11)
    torch.testing.assert_close(rows[0], batch["a"][:8].expand(-1, 3, -1, -1))
    torch.testing.assert_close(rows[2], batch["b"][:8])
