"""Principal components by gradient descent: the linear autoencoder.

References:
    Neural Networks and Principal Component Analysis: Learning from Examples Without Local Minima (Baldi, Hornik, 1989)
    https://doi.org/10.1016/0893-6080(89)90014-2
"""

import torch

from genlab.contract.model import GenerativeModel, Update
from genlab.networks.network import Network


class Linear(GenerativeModel):
    """x ~ W z + b with z = V x + c: its latents span the first principal components, if the network is linear."""

    kinds = frozenset({"image", "points"})
    metrics = {"error": "min"}  # chooses the best checkpoint

    def __init__(self, data, *, network: Network, latent_dim: int = 4):
        super().__init__(data)
        self.encoder = network.encoder(data.shape, latent_dim)
        self.decoder = network.decoder(latent_dim, data.shape)

    def training_step(self, batch, step):
        yield Update("model", self.error(batch["x"]))

    def evaluate(self, batch):
        return {"error": self.error(batch["x"])}

    def preview(self, batch):
        x = batch["x"][:8]
        return {"reconstructions": torch.stack([x, self.reconstruct(x)])}

    def encode(self, x):
        return self.encoder(x)

    def decode(self, z):
        return self.decoder(z)

    def reconstruct(self, x):
        return self.decode(self.encode(x))

    def error(self, x):
        return (self.reconstruct(x) - x).square().mean()
