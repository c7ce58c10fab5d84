"""`genlab restore`, and what else one trained diffusion model is asked for: tables over sampling options, scores."""

import json

import numpy as np
import pytest
from PIL import Image
from written import arrays, table

TASKS = ["task=inpaint", "task=inpaint mask=box", "task=inpaint mask=random", "task=upscale scale=2", "task=deblur"]


@pytest.fixture(scope="module")
def diffusion(short):
    return short("flow-matching", "dataset=digits", "network.widths=[8,8]", "model.steps=2")


@pytest.mark.parametrize("task", TASKS)
def test_images_are_restored_and_compared(task, diffusion, done):
    out, made = done("restore", diffusion, *task.split(), "num_images=5", "draws=2", "sampling.steps=3")
    found, rows = arrays(made / "restorations.npz"), table(made / "restorations.csv")
    assert found["images"].shape == (10, 16, 16, 1) and found["means"].shape == found["deviations"].shape
    assert list(rows[0])[:3] == ["name", "agreement", "psnr"] and len(rows) == 5
    assert max(float(row["agreement"]) for row in rows) < (0.1 if "deblur" in task else 1e-4)
    assert "psnr" in out and "agreement" in out and (made / "grid.png").exists()
    again = arrays(done("restore", diffusion, *task.split(), "num_images=5", "draws=2", "sampling.steps=3")[1]
                   / "restorations.npz")  # fmt: skip
    assert np.array_equal(found["images"], again["images"]), "a seed gives its restorations"


@pytest.mark.parametrize("method", ["repaint", "projection"])
def test_other_methods(method, diffusion, done):
    out, _ = done("restore", diffusion, "num_images=2", "draws=1", f"sampling.method={method}", "sampling.steps=3")
    assert "psnr" in out


def test_small_images_of_the_user_are_enlarged_and_each_draw_is_a_file(diffusion, done, tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    for name in ("a", "b"):
        Image.new("L", (4, 4), 128).save(folder / f"{name}.png")
    asked = ["task=upscale", f"input={folder}", "degraded=true", "draws=2", "sampling.steps=2"]
    out, made = done("restore", diffusion, *asked)
    assert "psnr" not in out
    assert sorted(path.name for path in (made / "images").iterdir()) == ["a-1.png", "a-2.png", "b-1.png", "b-2.png"]
    with Image.open(made / "images" / "a-1.png") as image:
        assert image.size == (16, 16)
        means = np.asarray(image, dtype=float).reshape(4, 4, 4, 4).mean((1, 3))
    assert np.abs(means - 128).max() < 1.5, "blocks of the enlarged image have the given values"


def test_a_mask_of_the_user_is_white_where_to_fill_in(diffusion, done, tmp_path):
    mask = np.zeros((16, 16), dtype=np.uint8)
    mask[:, :5] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    _, made = done("restore", diffusion, f"mask={tmp_path}/mask.png", "num_images=3", "draws=3", "sampling.steps=3")
    deviations = arrays(made / "restorations.npz")["deviations"]
    assert deviations[:, :, 5:].max() == 0 and deviations[:, :, :5].max() > 0


def test_mistakes(diffusion, runs, refused):
    mistakes = {
        f"run={runs.vae}": "models that can: ddpm, flow-matching",
        f"run={diffusion} mask=quarter": "half, box, random",
        f"run={diffusion} task=upscale scale=3": "16x16 is no multiple",
        f"run={diffusion} task=colourise": "are grey",
        f"run={diffusion} degraded=true": "input=photographs",
        f"run={diffusion} sampling.method=magic": "projection",
        f"run={diffusion} task=enlarge": "upscale",
    }
    for asked, way_out in mistakes.items():
        assert way_out in refused("restore", *asked.split()), asked


def test_a_list_of_sampling_options_gives_a_table(diffusion, done):
    asked = ["sampling.steps=[1,3]", "sampling.sampler=[euler,heun]", "num_samples=60", "extractor=pixels"]
    out, made = done("evaluate", diffusion, *asked, "metrics=[kernel]")
    rows = table(made / "table.csv")
    assert [row["network_calls"] for row in rows] == ["2", "2", "6", "10"]  # twice for guidance; heun ends with one
    assert len({row["kernel_distance"] for row in rows}) == 3, "heun with one step is euler"
    assert "network calls" in out and "sampling.steps=" in out
    entries = json.loads((made / "table.json").read_text())
    assert entries[1]["kernel_distance"]["protocol"]["sampling"] == {"steps": 1, "sampler": "heun"}


def test_a_table_is_of_samples(diffusion, genlab):
    for asked, way_out in (
        (["sampling.steps=[1,2]", "metrics=[variational_bound]"], "leave it out"),
        (["sampling.steps=[1,two]"], "sampling.steps"),
        (["sampling.steps=[]"], "sampling.steps=[10,20]"),
    ):
        outcome = genlab("evaluate", f"run={diffusion}", *asked)
        assert outcome.code == 2 and way_out in outcome.lines[-1], outcome
    assert not (diffusion / "evaluation.json").exists()


@pytest.mark.parametrize("method", ["bound", "denoising", "log-prob"])
def test_scores(method, diffusion, done):
    out, made = done("score", diffusion, f"method={method}", "num_images=4")
    assert method in out and len(table(made / "scores.csv")) == 4


def test_noise_turns_into_samples(diffusion, runs, done, refused):
    _, made = done("sample", diffusion, "format=gif", "num_samples=12", "sampling.steps=4")
    with Image.open(made / "animation.gif") as film:
        assert film.n_frames == 8, "five times, and back"
    assert (made / "strip.png").exists()
    sampled = arrays(done("sample", diffusion, "num_samples=12", "sampling.steps=4")[1] / "samples.npz")
    assert np.array_equal(arrays(made / "samples.npz")["images"], sampled["images"])
    assert "ddpm, flow-matching" in refused("sample", f"run={runs.vae}", "format=gif")
