"""Autoencoders: compress an example to a latent vector and reconstruct it from that.

References:
- Hinton and Salakhutdinov 2006, Reducing the Dimensionality of Data with Neural Networks, https://doi.org/10.1126/science.1127647
- Vincent et al. 2008, Extracting and Composing Robust Features with Denoising Autoencoders, https://doi.org/10.1145/1390156.1390294
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from torch import Tensor
from torch.nn import functional as F

from genlab.contract.data import Batch, DataSpec
from genlab.contract.model import GenerativeModel, Grid, Update
from genlab.media.kinds import shown_kind
from genlab.networks.coordinates import Coordinates
from genlab.networks.layers import Activation, check_least
from genlab.networks.network import Network


class AE(GenerativeModel):
    """x -> z = encoder(x) [N, latent_dim] -> x' = sigmoid(decoder(z)), trained to minimize the distance from x' to x.

    Points are standardized, and x' = decoder(z).
    loss: "mse" (sum of squares over entries, mean over the batch) or "bce" (cross-entropy, sum over pixels).
    input_noise: standard deviation of Gaussian noise added to the encoder's input, in units of the pixel range, or of
        the points' standard deviation.
    """

    averaged = ("encoder", "decoder")
    kinds = frozenset({"image", "points"})
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
        self.unit = Coordinates(data["x"], "unit")
        if loss == "bce" and not self.unit.bounds:
            raise ValueError("model.loss=bce: needs values between 0 and 1, as of images; choose model.loss=mse")
        style: dict[str, Any] = {"activation": activation, "dropout": dropout}
        self.encoder = network.encoder(data.shape, latent_dim, **style)
        self.decoder = network.decoder(latent_dim, data.shape, **style)

    def training_step(self, batch: Batch, step: int) -> Iterator[Update]:
        x = self.unit.inward(batch["x"])
        seen = x + self.input_noise * batch.randn(*x.shape[1:]) if self.input_noise else x
        yield Update("model", self._distance(self.decoder(self.encoder(seen)), x))

    def _distance(self, output: Tensor, x: Tensor) -> Tensor:
        output = output.to(x.dtype)
        if self.loss == "bce":
            return F.binary_cross_entropy_with_logits(output, x, reduction="none").flatten(1).sum(1).mean()
        return (self.unit.squash(output) - x).square().flatten(1).sum(1).mean()

    def encode(self, x: Tensor) -> Tensor:
        """Latents [N, latent_dim] of examples [N, *shape]."""
        return self.encoder(self.unit.inward(x))

    def decode(self, z: Tensor) -> Tensor:
        """Examples [N, *shape] from latents [N, latent_dim]."""
        return self.unit.outward(self.unit.squash(self.decoder(z)))

    def reconstruct(self, x: Tensor) -> Tensor:
        """Reconstructions of examples, both [N, *shape]."""
        return self.decode(self.encode(x))

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        """mse: squared error of the reconstruction, mean over entries and examples, in the units of x."""
        return {"mse": (self.reconstruct(batch["x"]).float() - batch["x"]).square().mean()}

    def preview(self, batch: Batch) -> Mapping[str, Grid]:
        """Examples beside their reconstructions."""
        return {"reconstructions": shown_kind(self.data).beside(batch["x"], self.reconstruct(batch["x"]))}
