"""Autoencoders: compress an image to a latent vector and reconstruct it from that.

References:
- Hinton and Salakhutdinov 2006, Reducing the Dimensionality of Data with Neural Networks, https://doi.org/10.1126/science.1127647
- Vincent et al. 2008, Extracting and Composing Robust Features with Denoising Autoencoders, https://doi.org/10.1145/1390156.1390294
"""

from collections.abc import Iterator
from typing import Any, Literal

from torch import Tensor
from torch.nn import functional as F

from genlab.contract.data import Batch, DataSpec
from genlab.contract.model import GenerativeModel, Update
from genlab.media.grids import in_blocks
from genlab.networks.layers import Activation, check_least
from genlab.networks.network import Network


class AE(GenerativeModel):
    """x -> z = encoder(x) [N, latent_dim] -> x' = sigmoid(decoder(z)), trained to minimize the distance from x' to x.

    loss: "mse" (sum of squares over pixels, mean over the batch) or "bce" (cross-entropy, sum over pixels).
    input_noise: standard deviation of Gaussian noise added to the encoder's input, in units of the pixel range.
    """

    averaged = ("encoder", "decoder")
    metrics = {"mse": "min"}

    def __init__(
        self,
        data: DataSpec,
        *,
        network: Network,
        latent_dim: int = 32,
        activation: Activation = "relu",
        dropout: float = 0.0,
        loss: Literal["mse", "bce"] = "mse",
        input_noise: float = 0.0,
    ):
        super().__init__(data)
        check_least(1, latent_dim=latent_dim)
        check_least(0, input_noise=input_noise)
        self.loss, self.input_noise = loss, input_noise
        style: dict[str, Any] = {"activation": activation, "dropout": dropout}
        self.encoder = network.encoder(data.shape, latent_dim, **style)
        self.decoder = network.decoder(latent_dim, data.shape, **style)

    def training_step(self, batch: Batch, step: int) -> Iterator[Update]:
        x = batch["image"]
        seen = x + self.input_noise * batch.randn(*x.shape[1:]) if self.input_noise else x
        yield Update("model", self._distance(self.decoder(self.encoder(seen)), x))

    def _distance(self, output: Tensor, x: Tensor) -> Tensor:
        output = output.to(x.dtype)
        if self.loss == "bce":
            return F.binary_cross_entropy_with_logits(output, x, reduction="none").flatten(1).sum(1).mean()
        return (output.sigmoid() - x).square().flatten(1).sum(1).mean()

    def encode(self, x: Tensor) -> Tensor:
        """Latents [N, latent_dim] of images [N, C, H, W] in [0, 1]."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Images [N, C, H, W] in [0, 1] from latents [N, latent_dim]."""
        return self.decoder(z).sigmoid()

    def reconstruct(self, x: Tensor) -> Tensor:
        """Reconstructions of images [N, C, H, W], both in [0, 1]."""
        return self.decode(self.encode(x))

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        """mse: squared error of the reconstruction, mean over pixels (range 1) and images."""
        return {"mse": (self.reconstruct(batch["image"]).float() - batch["image"]).square().mean()}

    def preview(self, batch: Batch) -> dict[str, Tensor]:
        """Rows of images, each above the row of their reconstructions."""
        return {"reconstructions": in_blocks(batch["image"], self.reconstruct(batch["image"]))}
