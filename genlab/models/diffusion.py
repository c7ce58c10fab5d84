"""Diffusion models and flow matching: a network learns to undo noise, and samples come from noise in many small steps.

Path, prediction, weights, times and sampler combine freely; `genlab.diffusion` has them with their references. Samplers
are chosen when sampling. Labels are dropped at times, so that one network is conditioned and unconditioned at once:
guidance g goes g times as far as the condition leads, 1 is the conditional model, 0 the unconditional one.

References:
- Ho, Jain, Abbeel 2020, Denoising Diffusion Probabilistic Models, https://arxiv.org/abs/2006.11239
- Lipman et al. 2023, Flow Matching for Generative Modeling, https://arxiv.org/abs/2210.02747
- Esser et al. 2024, Scaling Rectified Flow Transformers, https://arxiv.org/abs/2403.03206 (logit-normal times)
- Kingma, Salimans, Poole, Ho 2021, Variational Diffusion Models, https://arxiv.org/abs/2107.00630 (stratified times)
- Ho, Salimans 2022, Classifier-Free Diffusion Guidance, https://arxiv.org/abs/2207.12598
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from genlab.contract.data import Batch, Condition, DataSpec
from genlab.contract.model import Update
from genlab.diffusion.paths import PathName, PredictionName, make_path, over
from genlab.diffusion.samplers import Denoiser, SamplerName
from genlab.diffusion.weights import TimesName, WeightingName, drawn_times, weight
from genlab.models.denoiser_model import DenoiserModel, Sampling
from genlab.networks.condition import ConditionFeatures
from genlab.networks.network import Network


class Diffusion(DenoiserModel):
    """x_t = alpha(t) x + sigma(t) eps in coordinates where images are in [-1, 1] and points standardized.

    network: its denoiser predicts `prediction` from x_t. path: alpha and sigma, see `genlab.diffusion.paths`.
    weighting: of the squared error. times: distribution of t in training.
    conditional: condition on the label, if the data have one. label_dropout: how often it is left out in training.
    sampler, steps, eta, guidance: of samples where nothing else is asked for; previews and `decode` add no noise.
    """

    averaged = ("network",)
    kinds = frozenset({"image", "points"})
    conditions: tuple[str, ...] = ("label",)
    metrics = {"denoising_error": "min"}

    def __init__(
        self,
        data: DataSpec,
        *,
        network: Network,
        path: PathName = "rectified",
        prediction: PredictionName = "velocity",
        weighting: WeightingName = "simple",
        times: TimesName = "logit-normal",
        conditional: bool = True,
        label_dropout: float = 0.1,
        sampler: SamplerName = "heun",
        steps: int = 12,
        eta: float = 0.0,
        guidance: float = 1.0,
    ):
        super().__init__(data, make_path(path), Sampling(sampler, steps, eta, guidance))
        if not 0 <= label_dropout < 1:
            raise ValueError(f"model.label_dropout={label_dropout}: must lie in [0, 1)")
        if not conditional:
            self.conditions = ()
        if prediction == "noise" and path == "rectified":
            raise ValueError(
                "model.prediction=noise: says nothing of the data at the end of model.path=rectified, pure noise; "
                "choose velocity, v or x0, or another path"
            )
        self.prediction, self.weighting, self.times = prediction, weighting, times
        self.label_dropout, self.features = label_dropout, ConditionFeatures(data, self.conditions)
        told = self.features.size + 1 if self.conditions else 0  # and whether there is a condition
        self.network = network.denoiser(data.shape, told)

    def told(self, condition: Condition, x: Tensor) -> Tensor:
        """What the network is told of a condition, [N, F]; zeros stand for none."""
        found = self.features(self.needed(condition)).to(x.dtype)
        return torch.cat([found, torch.ones_like(found[:, :1])], 1)

    def training_step(self, batch: Batch, step: int) -> Iterator[Update]:
        condition = self.condition(batch)
        features = None
        if condition is not None:
            kept = batch.rand(1) >= self.label_dropout
            features = self.told(condition, batch["x"]) * kept
        yield Update("model", self.error(batch, features))

    def error(self, batch: Batch, features: Tensor | None) -> Tensor:
        """Mean squared error of the prediction for a batch, at stratified times: each row has a share of its own."""
        x0, eps = self.signed.inward(batch["x"]), batch.randn(*self.data.shape)
        row = batch.offset + torch.arange(batch.size, device=x0.device)
        u = (row + batch.rand()) / batch.total
        t = drawn_times(self.times, u.clamp(1e-5, 1 - 1e-5))
        place = self.path.at(over(t, x0))
        predicted = self.network(place.mix(x0, eps), t, features).to(x0.dtype)
        error = (predicted - place.target(self.prediction, x0, eps)).square()
        return (weight(self.weighting, place, self.prediction) * error).mean()

    def evaluate(self, batch: Batch) -> dict[str, Tensor]:
        """denoising_error: as in training, with the condition, if there is one."""
        condition = self.condition(batch)
        return {"denoising_error": self.error(batch, None if condition is None else self.told(condition, batch["x"]))}

    def denoiser(self, condition: Condition | None, guidance: float, like: Tensor) -> Denoiser:
        """x_0 and eps of x_t [N, ...] under a condition; see `guidance` above."""
        features = self.told(condition, like) if self.conditions and condition is not None and guidance else None

        def denoise(x: Tensor, t: float | Tensor) -> tuple[Tensor, Tensor]:
            times = t if isinstance(t, Tensor) else x.new_full((x.shape[0],), t)
            if features is None:
                nothing = x.new_zeros(x.shape[0], self.features.size + 1) if self.conditions else None
                predicted = self.network(x, times, nothing)
            elif guidance == 1:
                predicted = self.network(x, times, features)
            else:
                both = torch.cat([features, torch.zeros_like(features)])
                twice = self.network(x.repeat(2, *[1] * (x.ndim - 1)), times.repeat(2), both)
                told, untold = twice.unflatten(0, (2, -1))  # chunk would fix the number of rows in an export
                predicted = untold + guidance * (told - untold)
            return self.solved(x, t, predicted.to(x.dtype))

        return denoise

    def solved(self, x: Tensor, t: float | Tensor, predicted: Tensor) -> tuple[Tensor, Tensor]:
        """x_0 and eps of x at time t. Near t = 1 of a discrete path an error of the noise is a hundred times larger in
        x_0, which is therefore held in the range of images, as by Ho et al. 2020."""
        place = self.path.at(over(t, x) if isinstance(t, Tensor) else t)
        x0, eps = place.solve(self.prediction, x, predicted)
        if self.path.discrete and self.signed.bounds is not None and (isinstance(t, Tensor) or t > 0):
            x0 = x0.clamp(-1, 1)
            eps = (x - place.alpha * x0) / place.sigma
        return x0, eps
