"""Classes left out of a labelled dataset: which rows, their new numbers and names, and what is refused."""

import pytest
import torch
from PIL import Image

from genlab.config.build import build_source
from genlab.data.digits import Digits
from genlab.data.folders import ImageFolder
from genlab.data.some_classes import SomeClasses
from genlab.data.source import ArrayExamples

DIGITS = {"_target_": "genlab.data.digits.Digits", "size": 8}


@pytest.mark.parametrize(
    "key, chosen, kept", [("only", [3, 7], [3, 7]), ("without", 4, [0, 1, 2, 3, 5, 6, 7, 8, 9]), ("only", 5, [5])]
)
def test_the_others_are_numbered_anew_and_keep_their_names(key, chosen, kept):
    whole, source = Digits(size=8), build_source(DIGITS | {key: chosen})
    for split in ("train", "validation"):
        (table,), (few,) = whole.open(split), source.open(split)
        every, found = table.load(), few.load()
        rows = torch.isin(every["label"], torch.tensor(kept))
        assert torch.equal(found["x"], every["x"][rows]) and len(few) == source.sizes[split] == rows.sum()
        assert torch.equal(torch.tensor(kept)[found["label"]], every["label"][rows])
    assert source.spec["label"].names == tuple(map(str, kept)) and source.spec.num_examples == source.sizes["train"]
    assert key in source.protocol


def test_files_are_chosen_by_their_folders_without_being_decoded(tmp_path):
    for number in range(12):
        path = tmp_path / "photographs" / ("cats", "dogs", "owls")[number % 3] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (20 * number, 0, 0)).save(path)
    settings = {"path": str(tmp_path / "photographs"), "size": 16, "validation_fraction": 0.25}
    source = SomeClasses(ImageFolder(**settings), "without", ["dogs"])
    for split in ("train", "validation"):
        (table,) = source.open(split)
        assert not isinstance(table, ArrayExamples) and not any("dogs" in path for path in table.paths)
        found = table.rows(torch.arange(len(table)))
        assert found["label"].tolist() == table.labels.tolist() == [int("owls" in path) for path in table.paths]
        assert found["x"][:, 0, 0, 0].tolist() == [20 * int(path.split("/")[-1][:-4]) for path in table.paths]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"only": 12}, "dataset.only=12: no such class; there are 0, 1, 2"),
        ({"without": "cats"}, "dataset.without=cats: no such class"),
        ({"without": [*range(10)]}, "leaves no class"),
        ({"only": [*range(10)]}, "leaves every class"),
        ({"only": 1, "without": 2}, "give one of the two"),
        ({"_target_": "genlab.data.stripes.Stripes", "only": 1}, "has no labels"),
    ],
)
def test_what_leaves_nothing_is_refused(settings, message):
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        build_source((DIGITS if "_target_" not in settings else {}) | settings)


def test_what_is_not_there_yet_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "cache"))
    settings = {"_target_": "genlab.data.torchvision_sets.Mnist", "data_dir": str(tmp_path), "without": 4}
    with pytest.raises(ValueError, match=r"dataset\.without=4: reads the labels first.*genlab data dataset=NAME"):
        build_source(settings)
