"""Folders: what becomes a class, what is refused, and that splits lose nothing."""

import pytest
import torch
from PIL import Image

from genlab.data.folders import ImageFolder, UnpairedFolder


def fill(folder, count, shade=0):
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        Image.new("L", (12, 10), shade + index).save(folder / f"{index:02}.png")


def shades(source, split, table=0):
    """First pixel of every image, the label where there is one."""
    fields = source.open(split)[table].load()
    image = next(iter(fields.values()))
    return list(zip(image[:, 0, 0, 0].tolist(), fields.get("label", torch.zeros(len(image))).tolist(), strict=True))


def test_images_directly_in_the_folder(tmp_path):
    fill(tmp_path, 20)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "._00.png").write_text("left by another system")
    source = ImageFolder(path=str(tmp_path), size=[8, 6], channels=1, validation_fraction=0.2)
    assert source.spec.shape == (1, 8, 6) and source.spec.num_classes == 0
    assert source.sizes == {"train": 16, "validation": 4}
    assert set(source.open("train")[0].load()) == {"x"}
    found = shades(source, "train") + shades(source, "validation")
    assert sorted(shade for shade, _ in found) == list(range(20))


def test_subfolders_are_classes(tmp_path):
    for label, name in enumerate(["apple", "banana", "cherry"]):
        fill(tmp_path / name / "deep" if label == 1 else tmp_path / name, 5, shade=100 * label - (label == 2) * 20)
    source = ImageFolder(path=str(tmp_path), size=8)
    assert source.spec.num_classes == 3 and source.spec.provides == {"x", "label"}
    assert source.spec["label"].names == ("apple", "banana", "cherry")
    found = shades(source, "train") + shades(source, "validation")
    assert sorted(found) == [
        (first + index, label) for first, label in ((0, 0), (100, 1), (180, 2)) for index in range(5)
    ]
    assert ImageFolder(path=str(tmp_path), labels=False).spec.num_classes == 0


def test_a_single_subfolder_is_no_class(tmp_path):
    fill(tmp_path / "faces", 5)
    assert ImageFolder(path=str(tmp_path)).spec.num_classes == 0


def test_images_both_directly_and_in_subfolders_are_refused(tmp_path):
    fill(tmp_path, 3)
    fill(tmp_path / "faces", 5)
    with pytest.raises(ValueError, match=r"dataset\.labels=false"):
        ImageFolder(path=str(tmp_path))
    assert sum(ImageFolder(path=str(tmp_path), labels=False).sizes.values()) == 8


def test_unpaired_domains(tmp_path):
    for index, (name, count) in enumerate({"trainA": 6, "trainB": 9, "testA": 4, "testB": 2}.items()):
        fill(tmp_path / name, count, shade=50 * index)
    source = UnpairedFolder(path=str(tmp_path), size=8, channels=1)
    assert source.spec.domains == ("a", "b") and source.sizes == {"train": 9, "validation": 4}
    assert [set(table.load()) for table in source.open("train")] == [{"a"}, {"b"}]
    for split, table, first, count in (("train", 0, 0, 6), ("train", 1, 50, 9), ("validation", 1, 150, 2)):
        assert [shade for shade, _ in shades(source, split, table)] == list(range(first, first + count))


def test_unpaired_domains_without_tests_hold_some_out(tmp_path):
    fill(tmp_path / "trainA", 10)
    fill(tmp_path / "trainB", 20, shade=100)
    source = UnpairedFolder(path=str(tmp_path), size=8, channels=1, validation_fraction=0.3)
    assert source.sizes == {"train": 14, "validation": 6}
    for table, expected in enumerate([range(10), range(100, 120)]):
        found = shades(source, "train", table) + shades(source, "validation", table)
        assert sorted(shade for shade, _ in found) == list(expected)


def test_incomplete_unpaired_folders_are_refused(tmp_path):
    fill(tmp_path / "trainA", 2)
    with pytest.raises(ValueError, match="has no folder trainB"):
        UnpairedFolder(path=str(tmp_path))
    fill(tmp_path / "trainB", 2)
    fill(tmp_path / "testA", 2)
    with pytest.raises(ValueError, match="has testA alone"):
        UnpairedFolder(path=str(tmp_path))


def test_folders_of_splits_are_no_classes(tmp_path):
    for split, count in {"train": 6, "val": 2, "test": 3}.items():
        for label, name in enumerate(["cat", "dog"]):
            fill(tmp_path / split / name, count, shade=100 * label + (split == "val") * 50)
    source = ImageFolder(path=str(tmp_path), size=8, channels=1)
    assert source.spec["label"].names == ("cat", "dog") and source.sizes == {"train": 12, "validation": 4}
    assert sorted(shades(source, "validation")) == [(50, 0), (51, 0), (150, 1), (151, 1)]
    assert "train" in source.notes[0] and "val" in source.notes[0] and "test" in source.notes[1]
    assert sum(ImageFolder(path=str(tmp_path), labels=False).sizes.values()) == 22


def test_splits_without_classes_and_with_others(tmp_path):
    fill(tmp_path / "train", 5)
    fill(tmp_path / "test", 3)
    assert ImageFolder(path=str(tmp_path)).sizes == {"train": 5, "validation": 3}
    for name in ("cat", "dog"):
        fill(tmp_path / "other" / "train" / name, 3)
    fill(tmp_path / "other" / "test", 3)
    with pytest.raises(ValueError, match=r"test has images in no subfolders.*dataset\.path=.*other/train"):
        ImageFolder(path=str(tmp_path / "other"))
    fill(tmp_path / "other" / "valid" / "owl", 3)
    with pytest.raises(ValueError, match="valid has images in owl"):
        ImageFolder(path=str(tmp_path / "other"))


def test_two_domains_are_no_classes(tmp_path):
    for name in ("trainA", "trainB"):
        fill(tmp_path / name, 4)
    with pytest.raises(ValueError, match=r"dataset\.path=.*Give dataset=unpaired-folder"):
        ImageFolder(path=str(tmp_path))
    assert sum(ImageFolder(path=str(tmp_path), labels=False).sizes.values()) == 8


def test_classes_may_be_called_a_and_b(tmp_path):
    fill(tmp_path / "a", 4)
    fill(tmp_path / "b", 5)
    source = ImageFolder(path=str(tmp_path))
    assert source.spec["label"].names == ("a", "b") and not source.notes
    fill(tmp_path / "a", 5)
    (note,) = ImageFolder(path=str(tmp_path)).notes
    assert "same names" in note and "dataset=paired-folder" in note
