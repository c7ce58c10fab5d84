"""Every recipe at its defaults on MNIST against a bar that its samples, reconstructions or likelihood must reach.

Minutes each: `scripts/test -m slow tests/recipes`. Figures and image grids stay below pytest's --basetemp.
"""

import json
import time
from pathlib import Path

import pytest
import torch
from digit_reader import draw, mnist, probabilities, spread, train
from sklearn.decomposition import PCA

pytestmark = pytest.mark.slow


def timed(folder: Path, *overrides: str) -> tuple[Path, dict, float]:
    """Run folder, final metrics and minutes of `genlab train` on MNIST."""
    start = time.monotonic()
    final = train(folder / "run", "dataset=mnist", *overrides)
    return folder / "run", final, (time.monotonic() - start) / 60


def report(name: str, folder: Path, **figures) -> None:
    line = json.dumps({"recipe": name, **figures})
    (folder / "figures.json").write_text(line)
    print(line)


def test_autoencoder_beats_principal_components(tmp_path, data_dir):
    _, final, minutes = timed(tmp_path, "model=ae")
    flat = [mnist(split, data_dir)[0].flatten(1).numpy() for split in ("train", "validation")]
    pca = PCA(32, random_state=0).fit(flat[0])
    linear = float(((pca.inverse_transform(pca.transform(flat[1])) - flat[1]) ** 2).mean())
    report("ae", tmp_path, minutes=minutes, mse=final["validation/mse"], pca=linear)
    assert final["validation/mse"] <= 0.45 * linear


def test_vae_reaches_99_nats(tmp_path, data_dir):
    _, final, minutes = timed(tmp_path, "model=vae")
    report("vae", tmp_path, minutes=minutes, elbo=final["validation/elbo"])
    assert -final["validation/elbo"] <= 99
    assert minutes <= 3


@pytest.mark.parametrize("seed", [0, 1])
def test_gan_paints_all_digits_clearly_and_differently(tmp_path, data_dir, reader, seed):
    run, _, minutes = timed(tmp_path, "model=gan", f"seed={seed}")
    x, _ = draw(run)
    certainty, digit = probabilities(reader, x).max(1)
    shares = torch.bincount(digit, minlength=10) / len(x)
    ratio = spread(x) / spread(mnist("validation", data_dir)[0][:2000])
    figures = {"certainty": certainty.mean().item(), "smallest_share": shares.min().item(), "spread": ratio}
    report("gan", tmp_path, seed=seed, minutes=minutes, **figures)
    assert figures["certainty"] >= 0.90
    assert figures["smallest_share"] >= 0.04
    assert ratio >= 0.85
    assert minutes <= 20


@pytest.mark.parametrize("seed", [0, 1])
def test_conditional_gan_paints_many_digits_of_the_class_asked_for(tmp_path, data_dir, reader, seed):
    run, _, minutes = timed(tmp_path, "model=cgan", f"seed={seed}")
    x, labels = draw(run)
    agreement = (probabilities(reader, x).argmax(1) == labels).float().mean().item()
    real, real_labels = mnist("validation", data_dir)
    ratios = [spread(x[labels == k]) / spread(real[real_labels == k]) for k in range(10)]
    report("cgan", tmp_path, seed=seed, minutes=minutes, agreement=agreement, spreads=ratios)
    assert agreement >= 0.95
    assert min(ratios) >= 0.7
    assert minutes <= 20


@pytest.mark.parametrize(
    "model, seed, least", [("flow-matching", 0, 0.97), ("flow-matching", 1, 0.97), ("ddpm", 0, 0.95)]
)
def test_diffusion_paints_the_class_asked_for_in_all_its_variety(tmp_path, data_dir, reader, model, seed, least):
    run, _, minutes = timed(tmp_path, f"model={model}", f"seed={seed}")
    x, labels = draw(run)
    agreement = (probabilities(reader, x).argmax(1) == labels).float().mean().item()
    real, real_labels = mnist("validation", data_dir)
    ratios = [spread(x[labels == k]) / spread(real[real_labels == k]) for k in range(10)]
    report(model, tmp_path, seed=seed, minutes=minutes, agreement=agreement, spreads=ratios)
    assert agreement >= least
    assert min(ratios) >= 0.85


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_conditional_vae_beats_the_vae_and_keeps_to_the_class_asked_for(tmp_path, data_dir, reader, seed):
    run, final, minutes = timed(tmp_path, "model=cvae", f"seed={seed}")
    x, labels = draw(run)
    agreement = (probabilities(reader, x).argmax(1) == labels).float().mean().item()
    report("cvae", tmp_path, seed=seed, minutes=minutes, elbo=final["validation/elbo"], agreement=agreement)
    assert -final["validation/elbo"] <= 96
    assert agreement >= 0.97
    assert minutes <= 5
