"""From tensors to grids, files and arrays, without changing a grey level."""

import numpy as np
import pytest
import torch
from PIL import Image

from genlab.data.arrays import Npz
from genlab.media.grids import save_png, tile
from genlab.media.images import to_uint8
from genlab.media.npz import save_npz


def test_tile_puts_every_image_in_its_place():
    images = torch.rand(2, 3, 1, 4, 5)
    image = tile(images)
    assert image.shape == (1, 2 * 6 + 2, 3 * 7 + 2)
    for row in range(2):
        for column in range(3):
            top, left = 2 + 6 * row, 2 + 7 * column
            assert torch.equal(image[0, top : top + 4, left : left + 5], images[row, column, 0])
    assert (image[:, :2] == 0.5).all() and (image[:, :, :2] == 0.5).all()


def test_png_holds_the_images_small_ones_enlarged_by_whole_numbers(tmp_path):
    images = torch.tensor([0.0, 1.0]).view(1, 2, 1, 1, 1).expand(1, 2, 3, 10, 10)
    save_png(images, tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    side = 10 * ((720 - 6) // 20)
    assert pixels.shape == (side + 4, 2 * side + 6, 3)
    assert (pixels[2:-2, 2 : side + 2] == 0).all() and (pixels[2:-2, side + 4 : -2] == 255).all()
    assert (pixels[:2] == 128).all() and (pixels[:, side + 2 : side + 4] == 128).all(), "lines stay thin"
    save_png(torch.rand(1, 1, 3, 10, 1000), tmp_path / "large.png")
    with Image.open(tmp_path / "large.png") as image:
        assert image.size == (1004, 14)


@pytest.mark.parametrize("channels", [1, 3])
def test_npz_is_what_the_npz_dataset_reads(channels, tmp_path):
    levels = torch.randint(0, 256, (10, channels, 6, 7))
    labels = torch.arange(10) % 5
    save_npz(tmp_path / "samples.npz", images=to_uint8(levels / 255), labels=labels, absent=None)
    with np.load(tmp_path / "samples.npz") as arrays:
        assert arrays["images"].dtype == np.uint8 and arrays["images"].shape == (10, 6, 7, channels)
        assert arrays["labels"].dtype == np.int64 and len(arrays.files) == 2
    source = Npz(path=str(tmp_path / "samples.npz"), labels_key="labels")
    assert source.spec.shape == (channels, 6, 7) and source.spec.num_classes == 5
    tables = [source.open(split)[0].load() for split in ("train", "validation")]
    read = torch.cat([table["x"] for table in tables])
    assert {tuple(row) for row in read.flatten(1).tolist()} == {tuple(row) for row in levels.flatten(1).tolist()}


def test_pixels_are_clamped():
    assert to_uint8(torch.tensor([-0.1, 1.2]).view(2, 1, 1, 1)).flatten().tolist() == [0, 255]
