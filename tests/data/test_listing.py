"""Walking folders: what is an image, and that everything else is refused or told in a line."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from PIL import Image

from genlab.data.folders import ImageFolder, UnpairedFolder
from genlab.data.listing import list_images
from genlab.data.paired_folder import PairedFolder


def fill(folder, count=3, size=(8, 8)):
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        Image.new("L", size, 20 * index).save(folder / f"{index}.png")
    return folder


@pytest.mark.parametrize(
    "name",
    ["x.jfif", "x.JPE", "x.avif", "x.TIF", "x.jp2", "x.tga", "x.qoi", "x.mpo", "x.apng", "x.pcx", "x.ico", "x.dib"],
)
def test_formats_that_are_read_are_read(tmp_path, name):
    fill(tmp_path)
    image = Image.new("RGB", (8, 8), (200, 100, 50))
    ending = name[1:].lower()
    image.save(tmp_path / name, {".jfif": "JPEG", ".jpe": "JPEG", ".apng": "PNG"}.get(ending))
    source = ImageFolder(path=str(tmp_path), size=8)
    assert sum(source.sizes.values()) == 4 and not source.notes
    for split in source.sizes:
        source.open(split)[0].load()


@pytest.mark.parametrize(
    "name, told",
    [("x.heic", "1 .heic"), ("x", "1 without an ending"), (".x.png", "1 hidden"), ("x.png_large", "1 .png_large")],
)
def test_other_files_are_counted_in_a_line(tmp_path, name, told):
    (fill(tmp_path) / name).write_bytes(b"anything")
    assert list_images(str(tmp_path)).notes == (f"dataset.path: left out in {tmp_path}: {told}",)
    assert len(ImageFolder(path=str(tmp_path), size=8).notes) == 1


def test_a_folder_without_images_says_what_it_holds(tmp_path):
    (tmp_path / "x.HEIC").write_bytes(b"")
    with pytest.raises(ValueError, match=r"input: no images in .*1 \.heic.*\.jpg"):
        list_images(str(tmp_path), key="input")


@pytest.fixture
def open_folder():
    """A folder that every user may enter, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    for path in folder.rglob("*"):
        path.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.parametrize("mode", [0o000, 0o200])
def test_a_class_that_cannot_be_listed_is_refused(open_folder, mode):
    for name in ("cats", "dogs", "owls"):
        fill(open_folder / name)
    (open_folder / "dogs").chmod(mode)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(ValueError, match=r"dataset\.path: .*/dogs cannot be listed \(Permission denied\)"):
            ImageFolder(path=str(open_folder), size=8)
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("broken", ["link", "empty", "unread"])
def test_a_class_without_images_is_refused(tmp_path, broken):
    for name in ("cats", "owls"):
        fill(tmp_path / name)
    dogs = tmp_path / "dogs"
    if broken == "link":
        dogs.symlink_to(tmp_path / "gone")
    else:
        dogs.mkdir()
        if broken == "unread":
            (dogs / "x.heic").write_bytes(b"")
    with pytest.raises(ValueError, match=r"dataset\.path.* dogs,|dogs cannot be listed \(it is a broken link\)"):
        ImageFolder(path=str(tmp_path), size=8)


def test_what_lies_beside_the_folders_of_a_dataset_is_told(tmp_path):
    for name in ("trainA", "trainB", "valA"):
        fill(tmp_path / "unpaired" / name)
        fill(tmp_path / "paired" / name)
        fill(tmp_path / "side" / "deeper", size=(8, 4))
    fill(tmp_path / "side", size=(8, 4))
    (line,) = UnpairedFolder(path=str(tmp_path / "unpaired"), size=8).notes
    assert line.endswith("beside trainA, trainB: valA")
    fill(tmp_path / "paired" / "test" / "a"), fill(tmp_path / "paired" / "test" / "b")
    shutil.rmtree(tmp_path / "paired" / "valA")
    fill(tmp_path / "paired" / "val2")
    (line,) = PairedFolder(path=str(tmp_path / "paired"), size=8).notes
    assert line.endswith("beside test, trainA, trainB: val2")
    (line,) = PairedFolder(path=str(tmp_path / "side"), size=4).notes
    assert "left out 3 images in subfolders" in line
