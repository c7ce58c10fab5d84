"""Principal components by gradient descent: the linear autoencoder.

References:
    Neural Networks and Principal Component Analysis: Learning from Examples Without Local Minima (Baldi, Hornik, 1989)
    https://doi.org/10.1016/0893-6080(89)90014-2
"""

from math import prod

import torch
from torch import nn

from genlab.contract.model import GenerativeModel, Update


class Linear(GenerativeModel):
    """x ~ W z + b with z = V x: its latents span the first principal components."""

    kinds = frozenset({"image", "points"})
    metrics = {"error": "min"}  # chooses the best checkpoint

    def __init__(self, data, *, latent_dim: int = 4):
        super().__init__(data)
        self.encoder = nn.Linear(prod(data.shape), latent_dim, bias=False)
        self.decoder = nn.Linear(latent_dim, prod(data.shape))

    def training_step(self, batch, step):
        yield Update("model", self.error(batch["x"]))

    def evaluate(self, batch):
        return {"error": self.error(batch["x"])}

    def preview(self, batch):
        x = batch["x"][:8]
        return {"reconstructions": torch.stack([x, self.reconstruct(x)])}

    def encode(self, x):
        return self.encoder(x.flatten(1))

    def decode(self, z):
        return self.decoder(z).unflatten(1, self.data.shape)

    def reconstruct(self, x):
        return self.decode(self.encode(x))

    def error(self, x):
        return (self.reconstruct(x) - x).square().mean()
