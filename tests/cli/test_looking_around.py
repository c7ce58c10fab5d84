"""`genlab list` and `genlab data`: what there is, what fits what, and a dataset before any training."""

import os

import lab
import numpy as np
from PIL import Image

from genlab.config.paths import options
from genlab.metrics.catalogue import METRICS


def entries(out: str) -> dict[str, str]:
    """The lines of each name, joined."""
    found, name = {}, ""
    for line in out.splitlines():
        if line.startswith("  "):
            name = line[:20].strip() or name
            found[name] = f"{found.get(name, '')} {line[20:].strip()}"
    return found


def test_everything_is_listed_with_what_fits_what(genlab):
    found = entries(genlab("list").out)
    assert {*lab.MODELS, *options("dataset"), *METRICS} <= set(found)
    assert "Kingma and Welling 2014" in found["vae"] and "encode" in found["vae"]
    assert (
        "needs a, b" in found["cyclegan"]
        and "needs x, label" in found["cgan"]
        and "conditioned on label" in found["cgan"]
    )
    assert "for cut, cyclegan" in found["stripes"] and "cyclegan" not in found["digits"]
    assert "for genlab sample" in found["gan"] and "prior" not in found["gan"]
    assert "psnr (max)" in found["reconstruction"] and "needs reconstruct" in found["reconstruction"]
    assert "points, modes" in found["modes"]


def test_a_part_is_listed_alone(genlab, refused):
    assert set(entries(genlab("list", "models").out)) == set(lab.MODELS)
    assert genlab("list", "what=models") == genlab("list", "models")
    assert all(part in refused("list", "modells") for part in ("modells", "models, datasets"))


def test_data_shows_numbers_and_a_picture_and_the_next_command(genlab, tmp_path):
    outcome = genlab("data", "dataset.size=8", "num_shown=9")
    assert outcome.code == 0 and not outcome.err
    lines = {line[:10].strip(): line[11:] for line in outcome.out.splitlines()}
    assert "image of 1x8x8" in lines["fields"] and "train 1617" in lines["examples"]
    counts = [int(part.split(": ")[1]) for part in lines["label"].split(", ")]
    assert len(counts) == 10 and sum(counts) == 1617
    assert lines["x"].startswith("0 to 1, mean ")
    assert "vae" in lines["models"] and "cyclegan" not in lines["models"]
    assert lines["next"] == "genlab train model=vae dataset=digits dataset.size=8"
    pixels = np.asarray(Image.open(tmp_path / "outputs/data/digits.png"))
    assert pixels.std() > 0 and pixels.shape[0] == pixels.shape[1]


def test_the_next_command_repeats_every_setting(genlab, tmp_path):
    np.savez(tmp_path / "own.npz", pixels=np.full((20, 9, 8), 9, np.uint8))
    own = ["dataset.path=own.npz", "dataset.images_key=pixels", "dataset.validation_fraction=0.2"]
    own += ["dataset.pair=edges", "seed=3"]
    outcome = genlab("data", "dataset=npz", *own)
    assert outcome.code == 0, outcome.err
    words = outcome.out.splitlines()[-1].split()
    assert words[1:4] == ["genlab", "train", "model=pix2pix"] and set(words[4:]) == {"dataset=npz", *own}


def test_each_domain_of_a_translation_has_a_picture(genlab, tmp_path):
    few = ["dataset.size=16", "dataset.num_train=40", "dataset.num_validation=8"]
    outcome = genlab("data", "dataset=stripes", *few, "output=seen/pairs.png")
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "seen/pairs-a.png").is_file() and (tmp_path / "seen/pairs-b.png").is_file()
    assert "model=cut" in outcome.out


def test_points_are_plotted_and_measured_by_entry(genlab, tmp_path):
    outcome = genlab("data", "dataset=ring", "dataset.num_train=500", "num_shown=50")
    assert outcome.code == 0, outcome.err
    assert "points of 2" in outcome.out and "[0]" in outcome.out and "[1]" in outcome.out
    assert np.asarray(Image.open(tmp_path / "outputs/data/ring.png")).std() > 0


def test_the_same_seed_shows_the_same_examples(genlab, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        genlab("data", f"output={name}.png", f"seed={seed}", "num_shown=4")
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b != c


def test_an_empty_home_is_none(genlab, monkeypatch):
    monkeypatch.setenv("HOME", "")
    assert genlab("list", "models").code == 0
    assert os.path.expanduser("~") != "", "or files would be written to /.cache"


def test_mistakes_are_explained(refused):
    assert "'digits'" in refused("data", "dataset=digit")
    assert "output=x.jpg" in refused("data", "output=x.jpg")
    assert "dataset.path" in refused("data", "dataset=image-folder", "dataset.path=nowhere")
    assert "dataset.size=2" in refused("data", "dataset.size=2")


def test_a_single_point_has_no_standard_deviation(genlab):
    outcome = genlab("data", "dataset=ring", "split=validation", "dataset.num_validation=1")
    assert "mean" in outcome.out and "std" not in outcome.out
