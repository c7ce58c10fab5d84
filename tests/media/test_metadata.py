"""Generated images say what they are: in training and in every command that writes some, unless it is turned off."""

import os
from pathlib import Path

import lab
import numpy as np
import pytest
import yaml
from PIL import Image

from genlab import __version__
from genlab.checkpoints.folder import RunFolder
from genlab.cli import main
from genlab.media.images import save_image
from genlab.media.metadata import CHOSEN, COMPARED, GENERATED, PREVIEW, Origin, run_id
from genlab.runs.train import train

PLACES = {"vae": "vae-digits/20261120-153012-5306", "cyclegan": "cyclegan-stripes/20261120-160000-a96f"}
ON_CPU = ["device=cpu", "device.threads=1"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """A folder of a run by model: two steps each, with previews after both."""
    folders = {model: tmp_path_factory.mktemp("outputs") / place for model, place in PLACES.items()}
    for model, folder in folders.items():
        train_into(folder, model)
    return folders


def train_into(folder: Path, model: str, *settings: str) -> None:
    every = ["trainer.max_steps=2", "trainer.preview_every=1", "trainer.batch_size=8", "seed=5", *settings]
    config = lab.compose(model, *lab.small_data(f"model={model}"), *every)
    train(config, RunFolder(folder))


def use(command: str, run: Path, *settings: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, f"run={run}", *ON_CPU, *settings])
    assert stopped.value.code == 0


def comments(folder: Path) -> list[str]:
    """What the animations in `folder` say."""
    found = []
    for path in folder.glob("*.gif"):
        with Image.open(path) as image:
            found.append(image.info.get("comment", b"").decode())
    return found


def text_of(path: Path) -> dict[str, str]:
    with Image.open(path) as image:
        return dict(image.text)


def expected(model: str, content: str, step: int = 2, seed: int = 0) -> dict[str, str]:
    told = {"model": model, "run": PLACES[model], "step": str(step), "seed": str(seed)}
    return {"Software": f"GenLab {__version__}", "Description": content, **told}


def images_below(folder: Path) -> dict[str, Path]:
    return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*.png"))}


@pytest.mark.parametrize("model", PLACES)
def test_previews_say_of_which_step_they_are(model, runs):
    previews = images_below(runs[model] / "previews")
    assert {name[:12] for name in previews} == {"step_0000001", "step_0000002"}
    for name, path in previews.items():
        assert text_of(path) == expected(model, PREVIEW, step=int(name[5:12]), seed=5)


COMMANDS = [
    ("sample", "vae", "samples", ["num_samples=4", "format=png"], {"grid.png": GENERATED, "images": GENERATED}),
    ("reconstruct", "vae", "reconstructions", ["num_images=4"], {"grid.png": COMPARED}),
    ("interpolate", "vae", "interpolations", ["rows=2", "steps=3"], {"grid.png": GENERATED}),
    ("traverse", "vae", "traversals", ["steps=3"], {"grid.png": GENERATED, "plane.png": GENERATED}),
    ("score", "vae", "scores", ["num_images=4"], {"least_likely.png": CHOSEN, "error_maps.png": COMPARED}),
    ("evaluate", "vae", "evaluations", ["metrics=[copies]", "num_samples=16"], {"nearest.png": COMPARED}),
    ("translate", "cyclegan", "translations", [], {"grid.png": COMPARED, "images": GENERATED}),
]


@pytest.mark.parametrize("command, model, kind, settings, contents", COMMANDS, ids=[case[0] for case in COMMANDS])
def test_results_say_what_they_are(command, model, kind, settings, contents, runs, tmp_path):
    if command == "translate":
        for number in range(2):
            Image.new("RGB", (20, 20), (number, 200, 90)).save(tmp_path / f"{number}.png")
        settings = [f"input={tmp_path}"]
    use(command, runs[model], *settings, "seed=3")
    made = max((runs[model] / kind).iterdir(), key=os.path.getctime)
    images = images_below(made)
    assert {name.split("/")[0] for name in images} == set(contents)
    for name, path in images.items():
        assert text_of(path) == expected(model, contents[name.split("/")[0]], seed=3)
    comment = Origin(model, PLACES[model], 2, 3).comment()
    assert comments(made) == [comment] * (command in ("interpolate", "traverse"))


def test_results_and_training_are_silent_where_asked(runs, tmp_path):
    use("interpolate", runs["vae"], "rows=2", "steps=4", "image_metadata=false")
    (made,) = (path.parent for path in runs["vae"].glob("interpolations/*seed_0*/grid.png"))
    assert text_of(made / "grid.png") == {} and comments(made) == [""]
    train_into(tmp_path / "a/b", "vae", "logger.image_metadata=false")
    previews = images_below(tmp_path / "a/b/previews")
    assert previews and not any(text_of(path) for path in previews.values())
    assert yaml.safe_load((tmp_path / "a/b/config.yaml").read_text())["logger"]["image_metadata"] is False


def test_no_path_and_no_time_of_this_machine_is_told(runs, monkeypatch):
    monkeypatch.chdir(runs["vae"])
    contents = set()
    for _ in range(2):
        use("sample", Path("."), "num_samples=1", "seed=8")
        (grid,) = runs["vae"].glob("samples/*seed_8*/grid.png")
        contents.add(grid.read_bytes())
    assert len(contents) == 1 and text_of(grid)["run"] == PLACES["vae"]
    for path in images_below(runs["vae"]).values():
        assert str(runs["vae"].parent.parent).encode() not in path.read_bytes()


def test_an_origin_names_the_last_two_folders_of_a_run_and_any_name_can_be_told(tmp_path):
    assert (run_id(Path("/a/b/c")), run_id(Path("/c"))) == ("b/c", "c")
    save_image(np.zeros((2, 2, 1), np.uint8), tmp_path / "a.png", Origin("模型", "é/\udcff\n\0", 0, 2).at(7))
    told = text_of(tmp_path / "a.png")
    assert (told["model"], told["run"], told["step"]) == ("模型", "é/???", "7")
