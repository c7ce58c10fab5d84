"""Folders of pairs: which layouts are read, that partners stay partners, and mistakes that name the files."""

import lab
import pytest
import torch
from PIL import Image

from genlab.contract.settings import LoaderConfig
from genlab.data.loading import Loader
from genlab.data.paired_folder import PairedFolder

NAMES = [f"{index:02}" for index in range(10)]


def fill(folder, names=NAMES, first=0, suffix="png"):
    """Images that hold their number, from `first` on, in the left half; twice as much in the right half."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(names):
        image = Image.new("L", (24, 10), first + index)
        image.paste(2 * (first + index), (12, 0, 24, 10))
        image.save(folder / f"{name}.{suffix}")


def two_folders(root, a="a", b="b", first=0):
    """In b the partner of a number n is n + 100."""
    for name, shade in ((a, first), (b, first + 100)):
        (root / name).mkdir(parents=True)
        for index, file in enumerate(NAMES):
            Image.new("L", (12, 10), shade + index).save(root / name / f"{file}.png")


def shades(source, split):
    """First pixel of a and of b, row by row."""
    fields = source.open(split)[0].load()
    return list(zip(fields["a"][:, 0, 0, 0].tolist(), fields["b"][:, 0, 0, 0].tolist(), strict=True))


@pytest.mark.parametrize("names", [("a", "b"), ("A", "B")])
def test_two_folders_with_the_same_names(tmp_path, names):
    two_folders(tmp_path, *names)
    source = PairedFolder(path=str(tmp_path), size=8, channels=[1, 3], validation_fraction=0.2)
    assert source.spec.paired and source.spec.provides == {"a", "b", "pairs"}
    assert source.spec["a"].shape == (1, 8, 8) and source.spec["b"].shape == (3, 8, 8)
    assert source.sizes == {"train": 8, "validation": 2}
    found = shades(source, "train") + shades(source, "validation")
    assert sorted(found) == [(index, 100 + index) for index in range(10)]


def test_endings_may_differ(tmp_path):
    two_folders(tmp_path)
    for path in sorted((tmp_path / "b").iterdir()):
        Image.open(path).save(path.with_suffix(".bmp"))
        path.unlink()
    assert shades(PairedFolder(path=str(tmp_path), channels=1), "train")[0][0] + 100 in range(100, 110)


def test_folders_named_by_split_and_side(tmp_path):
    two_folders(tmp_path, "trainA", "trainB")
    two_folders(tmp_path, "testA", "testB", first=50)
    source = PairedFolder(path=str(tmp_path), size=8, channels=1)
    assert source.sizes == {"train": 10, "validation": 10}
    assert shades(source, "validation") == [(50 + index, 150 + index) for index in range(10)]


def test_sides_of_one_file(tmp_path):
    fill(tmp_path / "train", first=1)
    fill(tmp_path / "val", NAMES[:4], first=50)
    fill(tmp_path / "test", NAMES[:5], first=90)
    source = PairedFolder(path=str(tmp_path), size=8, channels=1)
    assert source.sizes == {"train": 10, "validation": 4}
    assert shades(source, "train") == [(index, 2 * index) for index in range(1, 11)]
    turned = PairedFolder(path=str(tmp_path), size=8, channels=1, a="right", validation_folder="test")
    assert shades(turned, "validation") == [(2 * index, index) for index in range(90, 95)]
    assert sum(PairedFolder(path=str(tmp_path / "train")).sizes.values()) == 10


def test_a_file_is_halved_before_it_is_scaled(tmp_path):
    """Its halves are 12x10, so a square of 10 of each is kept: nothing of the other side comes in."""
    fill(tmp_path, NAMES, first=40)
    fields = PairedFolder(path=str(tmp_path), size=10, channels=1).open("train")[0].load()
    for side in "ab":
        assert (fields[side] == fields[side][:, :, :1, :1]).all()


def test_pairs_are_read_alike_one_by_one_and_at_once(tmp_path):
    two_folders(tmp_path)
    (table,) = PairedFolder(path=str(tmp_path), size=8).open("train")
    whole, index = table.load(), torch.tensor([5, 1])
    assert table.nbytes == sum(value.nbytes for value in whole.values())
    for name, rows in table.rows(index).items():
        assert torch.equal(rows, whole[name][index])


@pytest.mark.parametrize("storage", ["memory", "stream"])
def test_a_and_b_move_as_one(tmp_path, storage):
    """Fails when one side is flipped or shifted alone, or when rows are drawn apart: b is the negative of a."""
    generator = torch.Generator().manual_seed(0)
    for index in range(12):
        pixels = torch.randint(0, 256, (12, 12), dtype=torch.uint8, generator=generator)
        both = torch.cat([pixels, 255 - pixels], 1).numpy()
        Image.fromarray(both).save(tmp_path / f"{index}.png")
    source = PairedFolder(path=str(tmp_path), size=12, channels=[1, 3], validation_fraction=0.1)
    settings = LoaderConfig(storage, memory_limit=1, workers=0, flip=True, shift=2)
    loader = Loader(source, "train", settings, seed=5, device=lab.CPU)
    for _, batch in zip(range(5), loader.batches(8), strict=False):
        torch.testing.assert_close(batch["a"].expand(-1, 3, -1, -1), 1 - batch["b"])


def test_files_without_partner_are_named(tmp_path):
    two_folders(tmp_path)
    for name in NAMES[:5]:
        (tmp_path / "b" / f"{name}.png").unlink()
    (tmp_path / "a" / "09.png").unlink()
    with pytest.raises(ValueError, match=r"a/00\.png.*a/01\.png.* 1 more .*no partner in .*b;.*b/09\.png") as error:
        PairedFolder(path=str(tmp_path))
    assert "\n" not in str(error.value) and str(error.value).startswith("dataset.path")


def test_incomplete_folders_are_refused(tmp_path):
    fill(tmp_path / "one" / "a")
    with pytest.raises(ValueError, match=r"no folder b "):
        PairedFolder(path=str(tmp_path / "one"))
    fill(tmp_path / "two" / "photos")
    fill(tmp_path / "two" / "labels")
    with pytest.raises(ValueError, match=r"not called a and b"):
        PairedFolder(path=str(tmp_path / "two"))
    with pytest.raises(ValueError, match=r"dataset\.path is not set"):
        PairedFolder(path=None)
    with pytest.raises(ValueError, match=r"no images"):
        (tmp_path / "empty").mkdir()
        PairedFolder(path=str(tmp_path / "empty"))


def test_settings_that_do_not_fit_are_refused(tmp_path):
    two_folders(tmp_path / "two")
    fill(tmp_path / "side" / "train")
    for settings, key in [
        ({"a": "right"}, r"dataset\.a=right"),
        ({"a": "top"}, r"dataset\.a=top"),
        ({"channels": [1, 2]}, r"dataset\.channels=2"),
        ({"channels": [1, 3, 3]}, r"dataset\.channels=\[1, 3, 3\]"),
        ({"validation_folder": "test"}, r"dataset\.validation_folder=test"),
    ]:
        with pytest.raises(ValueError, match=key):
            PairedFolder(path=str(tmp_path / "two"), **settings)
    with pytest.raises(ValueError, match=r"dataset\.validation_folder=test"):
        PairedFolder(path=str(tmp_path / "side"), validation_folder="test")


def test_a_file_of_odd_width_is_named(tmp_path):
    for name in NAMES[:3]:
        Image.new("L", (25, 10)).save(tmp_path / f"{name}.png")
    with pytest.raises(ValueError, match=r"0\d\.png .*25 pixels wide"):
        PairedFolder(path=str(tmp_path)).open("train")[0].load()


def test_label_maps_keep_their_colours_when_they_are_resized(tmp_path):
    generator = torch.Generator().manual_seed(0)
    colours = torch.tensor([[255, 0, 0], [0, 0, 255]], dtype=torch.uint8)
    for side in ("a", "b"):
        (tmp_path / side).mkdir()
        for name in NAMES:
            pixels = colours[torch.randint(2, (30, 30), generator=generator)]
            Image.fromarray(pixels.numpy()).save(tmp_path / side / f"{name}.png")
    source = PairedFolder(path=str(tmp_path), size=16, palette=["ff0000", "0000ff"])
    fields = source.open("train")[0].load()
    assert set(map(tuple, fields["a"].permute(0, 2, 3, 1).reshape(-1, 3).tolist())) == {(255, 0, 0), (0, 0, 255)}
    assert len(fields["b"].unique()) > 2, "photographs are smoothed"


def test_a_colour_that_the_palette_lacks_is_named(tmp_path):
    two_folders(tmp_path)
    with pytest.raises(ValueError, match=r"dataset\.palette: .*png has the colour .*dataset\.label_map=b"):
        PairedFolder(path=str(tmp_path), palette=["ff0000", "0000ff"], label_map="b").open("train")
