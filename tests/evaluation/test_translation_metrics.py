"""Metrics of translations: errors by hand beside answers without a model, label maps, and the reader of photographs."""

from types import SimpleNamespace

import lab
import pytest
import torch
from test_evaluate import subject

from genlab.contract.data import DataSpec, Field
from genlab.data.pairs import ANSWERS, DERIVED, HOLE_GREY
from genlab.data.source import ArrayExamples
from genlab.evaluation import label_reader
from genlab.evaluation.choosing import choose
from genlab.evaluation.evaluate import evaluate
from genlab.metrics.catalogue import BASELINES
from genlab.models.cyclegan import CycleGAN

PALETTE = ("000000", "ff0000", "0000ff")


def source_of(train, validation, **fields):
    """Pairs (a, b), uint8, as a source."""
    shapes = {
        name: Field("image", tuple(x.shape[1:]), **fields.get(name, {})) for name, x in zip("ab", train, strict=True)
    }
    spec = DataSpec(shapes, paired=True, num_examples=len(train[0]))
    tables = {"train": train, "validation": validation}
    tables = {split: [ArrayExamples(**dict(zip("ab", pair, strict=True)))] for split, pair in tables.items()}
    sizes = {split: len(tables[split][0]) for split in tables}
    return SimpleNamespace(spec=spec, sizes=sizes, open=tables.__getitem__, redrawn=None, protocol={}, modes=None)


def images(n, seed=0, channels=3):
    return torch.randint(256, (n, channels, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def values_of(entries, name):
    return entries[name]["value"], entries[name]["protocol"][BASELINES]


def test_errors_stand_beside_answers_that_need_no_model():
    a, b = images(60), images(60, 1)
    run, context = subject("translate-l1", source=source_of((a, b), (a[:4], b[:4])))
    truths = iter(b[:4].float().split(context.loader.rows))
    run.model.translate = lambda x, to: (next(truths) / 255 + 0.1).clamp(0, 1)
    entries = evaluate(run, context, ["pairs"])
    error, simple = values_of(entries, "translation_error/a")
    assert 0.09 < error <= 0.1 and simple["nearest neighbour"] == 0  # the validation pairs are training pairs
    untouched = (a[:4].float() - b[:4].float()).abs().mean().item() / 255
    assert simple["untranslated"] == pytest.approx(untouched)
    assert entries["paired_error/a"]["value"] == pytest.approx(error / untouched)
    mean = (b.float().mean(0) - b[:4].float()).abs().mean().item() / 255
    assert simple["mean image"] == pytest.approx(mean, rel=1e-5)
    sharpness, simple = values_of(entries, "translation_sharpness/a")
    assert 0.9 < sharpness < 1 and simple["nearest neighbour"] == 1 and simple["mean image"] < 0.3


@pytest.mark.parametrize(
    "translate, kept", [(lambda x: 0.2 + 0.5 * x, 1), (lambda x: x.flip(0), 0), (lambda x: x[:1].expand_as(x), 1 / 8)]
)
def test_content_is_kept_where_the_outlines_are_those_of_the_original(translate, kept):
    run, context = subject("cyclegan", source=lab.RandomExamples(CycleGAN, validation=8))
    run.model.translate = lambda x, to: translate(x)
    entries = evaluate(run, context, ["translation"])
    assert values_of(entries, "content_kept/a") == (kept, {"chance": 1 / 8})


def test_what_changes_is_measured_alone():
    b = images(8)
    a = DERIVED["mask"](b, torch.rand(8, 3, generator=torch.Generator().manual_seed(0)))
    run, context = subject("translate-l1", source=source_of((a, b), (a, b)))
    run.model.translate = lambda x, to: x  # leaves the holes
    entries = evaluate(run, context, ["pairs"])
    changed = (a != b).any(1, keepdim=True).expand_as(b).flatten(1)
    errors = ((a.float() - b.float()).abs() / 255).flatten(1)
    wanted = torch.stack([row[where].mean() for row, where in zip(errors, changed, strict=True)]).mean().item()
    assert entries["changed_error/a"]["value"] == pytest.approx(wanted, rel=1e-5)


def test_simple_answers_of_derived_pairs():
    b = torch.full((1, 3, 16, 16), 200, dtype=torch.uint8)
    a = DERIVED["mask"](b, torch.zeros(1, 3))
    assert (a == HOLE_GREY).any()
    torch.testing.assert_close(ANSWERS["mask"][1](a.float() / 255), b.float() / 255)
    smooth = torch.linspace(0, 1, 18).expand(1, 3, 18, 18)
    small = DERIVED["downscale"]((smooth * 255).byte(), torch.zeros(1, 3)).float() / 255
    larger = ANSWERS["downscale"][1](small)
    assert larger.shape == smooth.shape
    assert (larger - smooth).abs().mean() < 0.5 * (small - smooth).abs().mean()


def coloured(classes):
    """Label maps uint8 [N, 3, H, W] of classes [N, H, W]."""
    colours = torch.tensor([list(bytes.fromhex(colour)) for colour in PALETTE], dtype=torch.uint8)
    return colours[classes].permute(0, 3, 1, 2)


def label_pairs(n, seed):
    """Label maps in blocks, and photographs that are a function of them."""
    blocks = torch.randint(3, (n, 4, 4), generator=torch.Generator().manual_seed(seed))
    classes = blocks.repeat_interleave(4, 1).repeat_interleave(4, 2)
    photographs = torch.tensor([[30, 90, 60], [150, 120, 20], [220, 200, 240]], dtype=torch.uint8)[classes]
    return coloured(classes), photographs.permute(0, 3, 1, 2)


def test_a_reader_finds_the_classes_of_photographs(monkeypatch, tmp_path):
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path))
    monkeypatch.setitem(label_reader.RECIPE, "steps", 60)
    train, validation = label_pairs(32, 0), label_pairs(8, 1)
    run, context = subject("translate-l1", source=source_of(train, validation, a={"palette": PALETTE}))
    truths = iter((validation[1].float() / 255).split(context.loader.rows))
    run.model.translate = lambda x, to: 0 * next(truths)  # black photographs
    entries = evaluate(run, context, ["label_maps"])
    accuracy, simple = values_of(entries, "label_accuracy/a")
    assert simple["real"] > 0.95 and accuracy < 0.6
    assert entries["label_accuracy_by_class/a"]["value"] == pytest.approx(1 / 3)


def test_label_maps_are_read_by_their_colours():
    train, validation = label_pairs(8, 0), label_pairs(8, 1)
    pairs = source_of(train[::-1], validation[::-1], b={"palette": PALETTE})
    run, context = subject("translate-l1", source=pairs)
    truths = iter((validation[0].float() / 255).split(context.loader.rows))
    run.model.translate = lambda x, to: 0.8 * next(truths)
    accuracy, simple = values_of(evaluate(run, context, ["label_maps"]), "label_accuracy/a")
    assert accuracy == 1 and "real" not in simple and simple["mean image"] < 1


def test_without_a_palette_there_are_no_label_maps():
    run, context = subject("translate-l1", source=source_of((images(4), images(4)), (images(4), images(4))))
    assert "label_maps" not in choose(run, context, None)
    with pytest.raises(ValueError, match=r"metrics=label_maps: .*dataset\.palette"):
        choose(run, context, ["label_maps"])
