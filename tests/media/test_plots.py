"""Latents in two dimensions: against the singular values, and as an image in the colours of the classes."""

import numpy as np
from PIL import Image

from genlab.media import plots
from genlab.media.plots import project, save_scatter


def clouds(count=60, size=5, seed=0):
    """Two far clouds and their labels."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    return (random.normal(size=(count, size)) + 20 * labels[:, None]).astype(np.float32), labels


def test_principal_components_agree_with_singular_values():
    latents, _ = clouds()
    found = project(latents, "pca")
    centred = latents.astype(np.float64) - latents.mean(0, dtype=np.float64)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(found.points), np.abs(left * singular)[:, :2], atol=1e-8)
    shares = singular**2 / (singular**2).sum()
    assert found.axes == tuple(f"component {n + 1}: {shares[n]:.1%} of the variance" for n in range(2))
    assert found.rows.tolist() == list(range(60))


def test_latents_that_are_all_the_same_have_no_shares():
    found = project(np.ones((5, 3), np.float32), "pca")
    assert np.isfinite(found.points).all() and found.axes == ("component 1", "component 2")


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_points_are_coloured_by_class(tmp_path):
    latents, labels = clouds()
    found = project(latents, "pca")
    orange, near = np.array([255, 127, 14]), {}  # the second colour of matplotlib's tab10
    for name, colours in (("plain", None), ("classes", labels), ("many", np.arange(60))):
        save_scatter(found, colours, name, tmp_path / f"{name}.png")
        image = pixels(tmp_path / f"{name}.png")
        assert (np.ptp(image, axis=2) > 40).sum() > 100, "not grey alone"
        near[name] = (np.abs(image - orange).max(2) < 60).sum()
    assert near["plain"] == 0 and near["classes"] > 50


def test_tsne_tells_a_stated_number_of_points_apart_as_a_function_of_the_seed(monkeypatch):
    monkeypatch.setattr(plots, "TSNE_LIMIT", 20)
    latents, labels = clouds()
    found = project(latents, "tsne", seed=3)
    assert len(found.rows) == 20 == len(set(found.rows)) and (np.diff(found.rows) > 0).all()
    assert found.axes[0] == "t-SNE 1, perplexity 6.33333", "small sets get a smaller one"
    first, second = (found.points[labels[found.rows] == label] for label in (0, 1))
    assert np.linalg.norm(first.mean(0) - second.mean(0)) > max(first.std(), second.std())
    np.testing.assert_array_equal(project(latents, "tsne", seed=3).points, found.points)
