"""Decoding: any size and mode becomes the promised shape, and colours, orientation and centre stay right."""

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.data.arrays import Npz
from genlab.data.decoding import decode
from genlab.data.images import ImageFiles, image_size, resize


def save(image, path, **options):
    image.save(path, **options)
    return str(path)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode_keeps_its_brightness(tmp_path, mode, channels):
    grey = 255 if mode == "1" else 128
    if mode.startswith("I"):
        image = Image.fromarray(np.full((20, 30), grey * 257, np.uint16 if mode == "I;16" else np.int32))
    else:
        image = Image.new("RGB", (30, 20), (grey,) * 3)
        image = image.quantize() if mode == "P" else image.convert(mode)  # a conversion to P would dither
    pixels = decode(save(image, tmp_path / f"x.{'tif' if mode in ('CMYK', 'I') else 'png'}"), (channels, 8, 8))
    assert pixels.shape == (channels, 8, 8) and pixels.dtype == torch.uint8
    assert (pixels.int() - grey).abs().max() <= 1


@pytest.mark.parametrize("palette", [False, True])
def test_transparency_shows_white(tmp_path, palette):
    image = Image.new("RGBA", (10, 10), (0, 0, 0, 0))
    image.paste((200, 0, 0, 255), (0, 0, 5, 10))
    if palette:
        image = image.quantize(4)
    pixels = decode(save(image, tmp_path / "x.png"), (3, 10, 10))
    assert pixels[:, 0, 0].tolist() == [200, 0, 0] and pixels[:, 0, 9].tolist() == [255, 255, 255]


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_takes_the_centre_and_keeps_the_proportions(tmp_path, suffix):
    """Of a 400x200 image with a black left and right quarter, the central square is wholly white."""
    image = Image.new("L", (400, 200), 0)
    image.paste(255, (100, 0, 300, 200))
    path = save(image, tmp_path / f"x.{suffix}")
    assert decode(path, (1, 50, 50))[:, :, 2:-2].min() > 250
    wide = decode(path, (1, 50, 100))
    assert wide[0, 25, 20] < 5 and wide[0, 25, 80] < 5 and wide[0, 25, 50] > 250
    assert decode(path, (1, 20, 20), crop=300)[0, 10].tolist()[:2] == pytest.approx([0, 0], abs=5)


def test_exif_orientation_is_respected(tmp_path):
    image = Image.new("L", (40, 40), 0)
    image.paste(255, (0, 0, 40, 20))  # white above
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    pixels = decode(save(image, tmp_path / "x.jpg", exif=exif, quality=95), (1, 40, 40))
    assert pixels[0, :, 30].min() > 245 and pixels[0, :, 10].max() < 10


def test_native_size_keeps_every_value(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    pixels = decode(save(Image.fromarray(values), tmp_path / "x.png"), (3, 16, 16))
    assert np.array_equal(pixels.permute(1, 2, 0).numpy(), values)


def test_rows_and_load_agree(tmp_path):
    paths = [save(Image.new("L", (9, 9), 20 * value), tmp_path / f"{value}.png") for value in range(5)]
    table = ImageFiles("a", paths, (1, 4, 4), labels=torch.arange(5))
    whole, some = table.load(), table.rows(torch.tensor([3, 1]))
    assert set(whole) == {"a", "label"} and table.nbytes == sum(value.nbytes for value in whole.values())
    assert whole["a"][:, 0, 0, 0].tolist() == [0, 20, 40, 60, 80]
    assert all(torch.equal(whole[name][[3, 1]], some[name]) for name in whole)


def test_resize():
    images = torch.randint(256, (5, 3, 8, 8), dtype=torch.uint8)
    assert resize(images, None) is images and resize(images, 8) is images
    flat = torch.tensor([0, 77, 255], dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 1, 8, 8)
    for size in (5, 16):
        assert torch.equal(resize(flat, size), flat[..., :1, :1].expand(3, 1, size, size))
    halved = resize(images, 4).float()
    assert abs(halved.mean() - images.float().mean()) < 4


def test_image_shape():
    assert image_size(3, 64) == (3, 64, 64) and image_size(1, [20, 30]) == (1, 20, 30)
    for channels, size in ((2, 64), (3, 0), (3, [64]), (3, [1, 2, 3])):
        with pytest.raises(ValueError, match=r"dataset\.(channels|size)="):
            image_size(channels, size)


@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_are_converted_like_files(tmp_path, channels):
    """Of colours and of greys; the arrays of a training set and of a file that a command is given."""
    colours = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), np.uint8)
    for stored in (colours, colours[..., 0]):
        np.savez(tmp_path / "x.npz", images=stored)
        paths = [save(Image.fromarray(image), tmp_path / f"{row}.png") for row, image in enumerate(stored)]
        source = Npz(path=str(tmp_path / "x.npz"), validation_images_key="images", channels=channels)
        assert source.spec.shape == (channels, 8, 8)
        found = source.open("validation")[0].load()["x"]
        assert torch.equal(found, torch.stack([decode(path, (channels, 8, 8)) for path in paths]))
