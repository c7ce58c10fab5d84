"""Damaged files: all are named at once, whatever split, domain or side they are of, or all are left out."""

import re

import pytest
import torch
from PIL import Image

from genlab.data.folders import ImageFolder, UnpairedFolder
from genlab.data.images import ImageFiles
from genlab.data.paired_folder import PairedFolder


def fill(folder, count=12):
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        Image.new("L", (16, 8), 20 * index).save(folder / f"{index:02}.png")


def damage(folder):
    """An empty file, a text and a broken link."""
    (folder / "03.png").write_bytes(b"")
    (folder / "07.png").write_text("<html>")
    (folder / "11.png").unlink()
    (folder / "11.png").symlink_to("gone")


LAYOUTS = {
    "one folder": (ImageFolder, (".",), 9),
    "classes": (ImageFolder, ("cats", "dogs"), 18),
    "unpaired": (UnpairedFolder, ("trainA", "trainB"), 9),
    "unpaired with tests": (UnpairedFolder, ("trainA", "trainB", "testA", "testB"), 9),
    "pairs in two folders": (PairedFolder, ("a", "b"), 9),
    "pairs side by side": (PairedFolder, (".",), 9),
}


@pytest.fixture(params=LAYOUTS)
def layout(request, tmp_path):
    made, folders, sound = LAYOUTS[request.param]
    for folder in folders:
        fill(tmp_path / folder)
        damage(tmp_path / folder)
    return made, tmp_path, 3 * len(folders), sound


def load(source):
    return [table.load() for split in source.sizes for table in source.open(split)]


def test_all_damaged_files_are_named_at_once(layout):
    made, folder, damaged, _ = layout
    with pytest.raises(ValueError, match=f"^{damaged} files cannot be read: ") as error:
        load(made(path=str(folder), size=8))
    assert "dataset.skip_damaged=true" in str(error.value) and "\n" not in str(error.value)
    more = re.search(r"and (\d+) more", str(error.value))
    assert str(error.value).count(".png") + int(more[1] if more else 0) == damaged


def test_all_damaged_files_are_left_out(layout):
    made, folder, damaged, sound = layout
    source = made(path=str(folder), size=8, skip_damaged=True)
    load(source)
    assert source.sizes["train"] in (sound, sound - source.sizes["validation"])
    told = [int(number) for line in source.notes for number in re.findall(r"left out (\d+) of", line)]
    assert sum(told) == damaged


@pytest.mark.parametrize("side", "ab")
def test_the_damaged_side_of_a_pair_is_named(side, tmp_path):
    for folder in "ab":
        fill(tmp_path / folder)
    (tmp_path / side / "03.png").write_bytes(b"")
    (note,) = PairedFolder(path=str(tmp_path), size=8, skip_damaged=True).notes
    assert f"{side}/03.png" in note and note.count(".png") == 1


def test_nothing_but_damaged_files_is_refused(tmp_path):
    fill(tmp_path, 2)
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    with pytest.raises(ValueError, match="skip_damaged: none of the 2 files"):
        ImageFolder(path=str(tmp_path), size=8, skip_damaged=True)


def test_a_streamed_batch_names_its_damaged_files(tmp_path):
    fill(tmp_path)
    damage(tmp_path)
    table = ImageFiles("x", sorted(map(str, tmp_path.iterdir())), (1, 8, 8))
    with pytest.raises(ValueError, match=r"^2 files cannot .*03\.png .*07\.png .*\. Repair or remove them\.$"):
        table.rows(torch.arange(8))
