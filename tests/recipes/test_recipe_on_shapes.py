"""beta-VAE at its defaults: position and scale of the shapes move on latents of their own. Takes minutes."""

import json

import pytest
import torch
from digit_reader import train
from torch import Tensor

from genlab.config.build import build_source
from genlab.data.shapes import FACTORS
from genlab.inference.load import load

pytestmark = pytest.mark.slow


def explained(latent: Tensor, factor: Tensor, bins: int = 20) -> float:
    """Share of the variance of `factor` [N] that knowing the bin of `latent` [N] explains, in [0, 1]."""
    borders = torch.quantile(latent, torch.linspace(0, 1, bins + 1)[1:-1])
    bin_of = torch.bucketize(latent, borders)
    within = sum(((factor[bin_of == b] - factor[bin_of == b].mean()) ** 2).sum() for b in range(bins))
    return 1 - (within / ((factor - factor.mean()) ** 2).sum()).item()


def test_position_and_scale_have_latents_of_their_own(tmp_path):
    train(tmp_path / "run", "model=beta-vae", "dataset=shapes")
    run = load(str(tmp_path / "run"), torch.device("cpu"))
    assert run.config.model.beta == 4
    (table,) = build_source(run.config).open("validation")
    fields = table.load()
    latents = run.model.encode(fields["x"].float() / 255).T.contiguous()
    best = {}
    for name in ("x", "y", "scale"):
        factor = fields["factors"][:, FACTORS.index(name)]
        shares = [explained(latent, factor) for latent in latents]
        best[name] = (max(shares), shares.index(max(shares)))
    print(json.dumps(best))
    assert len({latent for _, latent in best.values()}) == 3
    assert best["x"][0] >= 0.7 and best["y"][0] >= 0.7
    assert best["scale"][0] >= 0.25
