"""`genlab animate` on folders of previews: what it writes, and what it refuses."""

from io import BytesIO

import pytest
import torch
from PIL import Image

from genlab.media.grids import to_png
from genlab.media.metadata import PREVIEW, Origin


@pytest.fixture
def run(tmp_path):
    """`run(steps)`: a run folder with previews of these steps, and no checkpoint."""

    def make(steps, names=("samples", "reconstructions"), origin=True):
        folder = tmp_path / "outputs" / "vae-digits" / "one"
        (folder / "previews").mkdir(parents=True)
        (folder / "config.yaml").write_text("{}")
        (folder / "status.json").write_text("{}")
        for step in steps:
            for name in names:
                grid = torch.full((2, 2, 1, 8, 8), step / 100)
                png = to_png(grid, Origin("vae", "vae-digits/one", step, 3, PREVIEW) if origin else None)
                (folder / "previews" / f"step_{step:07d}-{name}.png").write_bytes(png.content)
        return folder

    return make


def test_all_steps_and_a_strip(run, genlab):
    folder = run(range(10, 60, 10))
    done = genlab("animate", f"run={folder}", "frames=3")
    assert done.code == 0, done.err
    (made,) = (folder / "animations").iterdir()
    assert "samples" in made.name and str(made) in done.out and "next " in done.out
    with Image.open(made / "animation.gif") as film:
        assert film.n_frames == 5
        assert b"step: 10 to 50" in film.info["comment"] and b"run: vae-digits/one" in film.info["comment"]
    with Image.open(made / "strip.png") as strip:
        assert strip.text["step"] == "10, 20, 50" and strip.text["Description"] == PREVIEW


def test_the_latest_run_needs_no_checkpoint(run, genlab):
    folder = run([1, 2])
    done = genlab("animate", "run=latest")
    assert done.code == 0 and len(list((folder / "animations").iterdir())) == 1, done.err


def test_other_previews_and_those_without_metadata(run, genlab):
    folder = run([1, 2], names=["b", "a"], origin=False)
    assert genlab("animate", f"run={folder}").code == 0
    assert genlab("animate", f"run={folder}", "name=b").code == 0
    made = sorted(path.name[:14] for path in (folder / "animations").iterdir())
    assert made == ["step_0000002-a", "step_0000002-b"]
    for path in folder.glob("animations/*/strip.png"):
        with Image.open(BytesIO(path.read_bytes())) as strip:
            assert not strip.text


@pytest.mark.parametrize("steps", [[], [5]])
def test_a_run_without_previews_of_steps_is_refused(run, refused, steps):
    assert "trainer.preview_every" in refused("animate", f"run={run(steps)}")


def test_other_mistakes_are_refused(run, refused):
    folder = run([1, 2])
    assert "samples" in refused("animate", f"run={folder}", "name=sample")
    assert "run=nothing" in refused("animate", "run=nothing")
    assert "run=: is empty" in refused("animate", "run=")
    assert "frames=1" in refused("animate", f"run={folder}", "frames=1")
    assert "weights" in refused("animate", f"run={folder}", "weights=raw")
    (folder / "previews" / "step_0000002-samples.png").write_bytes(b"none")
    assert "step_0000002-samples.png" in refused("animate", f"run={folder}")
