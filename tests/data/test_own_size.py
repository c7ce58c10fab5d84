"""The size of images in folders where none is given: their own if they agree in one that can be trained on."""

import pytest
from PIL import Image

from genlab.data.decoding import size_of
from genlab.data.folders import ImageFolder, UnpairedFolder
from genlab.data.paired_folder import PairedFolder

SIDEWAYS = 6  # EXIF orientation


def fill(folder, *sizes):
    """Images of (width, height) each; the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, size in enumerate(sizes):
        Image.new("RGB", size).save(folder / f"{number}.png")
    return str(folder)


@pytest.mark.parametrize(
    "size, setting",
    {(64, 64): 64, (48, 64): [64, 48], (128, 8): [8, 128]}.items(),
)
def test_images_of_one_size_keep_it(tmp_path, size, setting):
    source = ImageFolder(path=fill(tmp_path, *[size] * 5))
    assert source.settled == {"size": setting} and source.spec.shape == (3, size[1], size[0])
    assert source.notes == ()


@pytest.mark.parametrize(
    "sizes, named",
    {
        ((64, 64), (64, 48)): ["64x64", "48x64", "dataset.size="],
        ((129, 64), (129, 64)): ["64x129", "dataset.size=[64,129]"],
        ((6, 6), (6, 6)): ["6x6", "dataset.size=6"],
        tuple((20 + n, 20) for n in range(9)): ["20x20", "6 other sizes", "dataset.size="],
    }.items(),
)
def test_others_are_scaled_and_a_line_says_so(tmp_path, sizes, named):
    source = ImageFolder(path=fill(tmp_path, *sizes))
    assert source.spec.shape == (3, 64, 64) and not source.settled
    (note,) = source.notes
    assert "64x64" in note and all(word in note for word in named)
    assert not ImageFolder(path=str(tmp_path), size=32).notes


def test_both_domains_agree_or_are_scaled(tmp_path):
    fill(tmp_path / "trainA", *[(40, 40)] * 3)
    fill(tmp_path / "trainB", *[(40, 40)] * 3)
    assert UnpairedFolder(path=str(tmp_path)).spec.shape == (3, 40, 40)
    fill(tmp_path / "trainB", (50, 50))
    assert UnpairedFolder(path=str(tmp_path)).spec.shape == (3, 128, 128)


def test_a_pair_side_by_side_has_half_the_width(tmp_path):
    source = PairedFolder(path=fill(tmp_path, *[(80, 40)] * 4))
    assert source.spec["b"].shape == (3, 40, 40) and source.settled == {"size": 40}


def test_the_size_is_that_of_the_upright_image(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = SIDEWAYS
    Image.new("RGB", (30, 20)).save(tmp_path / "turned.jpg", exif=exif)
    assert size_of(str(tmp_path / "turned.jpg")) == (30, 20)


def test_files_that_cannot_be_read_have_no_size(tmp_path):
    (tmp_path / "0.png").write_bytes(b"no image")
    assert size_of(str(tmp_path / "0.png")) is None and size_of(str(tmp_path / "missing.png")) is None
