"""`genlab interpolate` and `genlab traverse`: paths through the latents of a run, and what lies beside them."""

import numpy as np
import torch
from PIL import Image
from written import arrays, images_of, table

import genlab as package


def animated(path):
    with Image.open(path) as image:
        return image.n_frames > 10 and image.info["loop"] == 0


def test_interpolate_walks_between_draws_from_the_prior(runs, done):
    _, folder = done("interpolate", runs.vae, "rows=3", "steps=5", "seed=2")
    found, run = arrays(folder / "interpolations.npz"), package.load(runs.vae)
    assert found["images"].shape == (15, 16, 16, 1) and found["latents"].shape == (15, 4)
    z = torch.from_numpy(found["latents"])
    ends = run.prior(6, seed=2)
    torch.testing.assert_close(z.view(3, 5, 4)[:, [0, -1]].flatten(0, 1), ends)
    torch.testing.assert_close(images_of(found["images"]), run.decode(z), rtol=0, atol=0.51 / 255)
    torch.testing.assert_close(run.interpolate(ends[::2], ends[1::2], 5).flatten(0, 1), run.decode(z))
    assert animated(folder / "animation.gif") and (folder / "grid.png").exists()


def test_interpolate_walks_between_two_seeds_or_two_images(runs, done, photographs):
    run, folder = package.load(runs.vae), photographs[0]
    _, made = done("interpolate", runs.vae, "seeds=[3,8]", "path=linear", "steps=3")
    z = torch.from_numpy(arrays(made / "interpolations.npz")["latents"])
    torch.testing.assert_close(z[[0, 2]], torch.cat([run.prior(1, 3), run.prior(1, 8)]))
    torch.testing.assert_close(z[1], (z[0] + z[2]) / 2)
    _, made = done("interpolate", runs.vae, f"images=[{folder}/a.png,{folder}/b.png]")
    encoded = arrays(done("encode", runs.vae, f"input={folder}", "plot=none")[1] / "latents.npz")["latents"]
    z = arrays(made / "interpolations.npz")["latents"]
    np.testing.assert_allclose(z[[0, -1]], encoded[:2], atol=1e-5)
    assert made.name.startswith("step_0000003-a_b-spherical-")


def test_a_model_without_a_prior_walks_between_validation_images(runs, done):
    out, made = done("interpolate", runs.ae, "rows=2", "steps=3")
    assert "pairs of images of validation, seed 0: 2 rows of 3 images, on a linear path" in out
    z = arrays(made / "interpolations.npz")["latents"]
    codes = arrays(done("encode", runs.ae, "plot=none")[1] / "latents.npz")["latents"]
    distances = np.abs(z[[0, 2, 3, 5], None] - codes).max(2)
    assert distances.min(1).max() < 1e-5 and len(set(distances.argmin(1))) == 4
    other = arrays(done("interpolate", runs.ae, "rows=2", "steps=3", "seed=1")[1] / "interpolations.npz")["latents"]
    assert not np.allclose(z, other)


def test_every_row_of_a_conditional_model_has_one_label(runs, done):
    _, made = done("interpolate", runs.cgan, "rows=12", "steps=2")
    labels = arrays(made / "interpolations.npz")["labels"].reshape(12, 2)
    assert labels[:, 0].tolist() == [*range(10), 0, 1] and (labels[:, 0] == labels[:, 1]).all()
    _, made = done("interpolate", runs.cgan, "label=7")
    assert set(arrays(made / "interpolations.npz")["labels"]) == {7} and "label_7" in made.name
    _, made = done("traverse", runs.cgan, "label=3", "steps=3")
    found, run = arrays(made / "traversals.npz"), package.load(runs.cgan)
    painted = run.decode(z := torch.from_numpy(found["latents"]), {"label": torch.full((len(z),), 3)})
    torch.testing.assert_close(images_of(found["images"]), painted, rtol=0, atol=0.51 / 255)


def test_traverse_sorts_latents_by_how_much_they_move_the_image(runs, done):
    out, folder = done("traverse", runs.vae, "steps=5", "rows=3", "extent=2")
    found, run = arrays(folder / "traversals.npz"), package.load(runs.vae)
    order, changes = found["order"], found["changes"]
    assert sorted(order) == [0, 1, 2, 3] and (np.diff(changes[order]) <= 0).all()
    images = run.traverse(order[:3].tolist(), torch.linspace(-2, 2, 5))
    torch.testing.assert_close(images_of(found["images"]), images.flatten(0, 1), rtol=0, atol=0.51 / 255)
    moved = images.diff(dim=1).abs().sum(1).mean((1, 2, 3))
    np.testing.assert_allclose(changes[order[:3]], moved, rtol=1e-4)
    assert [int(row["latent"]) for row in table(folder / "changes.csv")] == order.tolist()
    plane = torch.from_numpy(found["plane_latents"]).view(5, 5, 4)
    assert plane[:, 0, order[0]].tolist() == plane[0, :, order[1]].tolist() == [-2, -1, 0, 1, 2]
    assert (plane[:, :, order[2:]] == 0).all() and found["plane_images"].shape == (25, 16, 16, 1)
    assert f"latent {order[0]} ({changes[order[0]]:.3f})" in out
    assert animated(folder / "animation.gif") and (folder / "grid.png").exists() and (folder / "plane.png").exists()


def test_traverse_starts_from_an_image_and_shows_what_is_named(runs, done, photographs):
    image = photographs[0] / "b.png"
    out, made = done("traverse", runs.vae, f"input={image}", "latents=[0,3]", "plane=[3,1]", "steps=3")
    found = arrays(made / "traversals.npz")
    code = arrays(done("encode", runs.vae, f"input={image}", "plot=none")[1] / "latents.npz")["latents"][0]
    z = found["latents"].reshape(2, 3, 4)
    first = [latent for latent in found["order"] if latent in (0, 3)]
    for row, latent in zip(z, first, strict=True):
        assert row[:, latent].tolist() == [-2.5, 0, 2.5]
        np.testing.assert_allclose(np.delete(row, latent, 1), np.tile(np.delete(code, latent), (3, 1)), atol=1e-5)
    plane = found["plane_latents"].reshape(3, 3, 4)
    assert plane[:, 0, 3].tolist() == plane[0, :, 1].tolist() == [-2.5, 0, 2.5]
    assert "latent 3 down, latent 1 across" in out


def test_traverse_of_a_model_without_a_prior_follows_the_codes_of_data(runs, done):
    _, made = done("traverse", runs.ae, "extent=1", "steps=3", "latents=[2]")
    codes = arrays(done("encode", runs.ae, "plot=none")[1] / "latents.npz")["latents"]
    mean, deviation = codes.mean(0), codes.std(0)
    z = arrays(made / "traversals.npz")["latents"]
    np.testing.assert_allclose(z[1], mean, atol=1e-5)
    np.testing.assert_allclose(z[:, 2], mean[2] + deviation[2] * np.array([-1, 0, 1]), atol=1e-5)


def test_latents_that_cannot_be_plotted_are_written(runs, done, tmp_path):
    Image.fromarray(np.full((16, 16), 7, np.uint8)).save(tmp_path / "one.png")
    out, made = done("encode", runs.ae, f"input={tmp_path / 'one.png'}")
    assert arrays(made / "latents.npz")["latents"].shape[0] == 1 and not (made / "plot.png").exists()
    assert "plot       not drawn" in out
