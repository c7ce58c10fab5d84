"""The unpaired domains: one true counterpart each, drawn independently, fixed colours and stripes."""

import pytest
import torch

from genlab.data.stripes import PairedStripes, Stripes, palette


def tables(split="train", **options):
    source = Stripes(num_train=40, num_validation=20, **options)
    return [table.load() for table in source.open(split)]


@pytest.mark.parametrize("channels", [1, 3])
def test_counterparts_follow_from_the_images(channels):
    """Both translations can be computed pixel by pixel from what the image shows alone."""
    ground, light, middle = palette(channels)
    along = torch.arange(32)
    stripes = torch.where((along[:, None] + along) % 4 >= 2, middle, light)

    def translate(images, fill, new_fill):
        coverage = (((images - ground) * (fill - ground)).sum(1, True) / (fill - ground).square().sum(0)).clamp(0, 1)
        return ground + coverage * (new_fill - ground)

    a, b = tables("validation", channels=channels)
    assert (translate(a["a"].float(), light, stripes) - a["a_as_b"]).abs().max() <= 2.5
    assert (translate(b["b"].float(), stripes, light) - b["b_as_a"]).abs().max() <= 2.5


def test_domains_are_unpaired_but_alike():
    (a, b), (held_out, _) = tables(), tables("validation")
    shown_a, shown_b = ((images - palette(3)[0]).abs().amax(1) > 30 for images in (a["a"].float(), b["b"].float()))
    assert not any(torch.equal(one, other) for one in shown_a for other in shown_b)
    assert abs(shown_a.float().mean() - shown_b.float().mean()) < 0.06
    assert not torch.equal(a["a"][:20], held_out["a"])


def test_shapes_lie_wholly_inside_and_every_image_has_one():
    ground = palette(3)[0].round()
    images = tables(size=48)[0]["a"].float()
    covered = (images - ground).abs().amax(1) > 128
    assert covered.flatten(1).any(1).all()
    single = Stripes(num_train=300, size=48, max_shapes=1).open("train")[0].load()["a"].float()
    area = ((single - ground).abs().amax(1) > 100).flatten(1).sum(1)
    assert area.min() > 48**2 * 0.14**2 * 1.1  # the smallest triangle, which nothing may cut


def test_pairs_are_the_domain_a_with_its_counterparts():
    sizes = {"size": 16, "num_train": 6, "num_validation": 5}
    source, unpaired = PairedStripes(**sizes), Stripes(**sizes)
    assert source.spec.paired and not unpaired.spec.paired
    (table,) = source.open("validation")
    truth = unpaired.open("validation")[0].load()
    assert torch.equal(table.load()["a"], truth["a"]) and torch.equal(table.load()["b"], truth["a_as_b"])
    (table,) = source.open("train")
    assert torch.equal(table.load()["a"], unpaired.open("train")[0].load()["a"]) and len(table) == 6
