"""What a model knows of the classes of real images, though it may never have been told them."""

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from genlab.contract.data import Batch
from genlab.evaluation.context import EvaluationContext, MetricValue
from genlab.inference.run import Run
from genlab.metrics.neighbours import nearest

_PORTION = 10_000


def measure_codes(run: Run, context: EvaluationContext, seed: int) -> dict[str, MetricValue]:
    """classification_error: share of images whose class is not the one that was read; codes of a model that was never
    told the classes are first matched with them, one to one and as well as possible (Chen et al. 2016, InfoGAN)."""

    def read(number: int, batch: Batch) -> tuple[Tensor, Tensor]:
        return run.model.classify(batch["x"]).argmax(1).cpu(), batch["label"].cpu()

    codes, labels = (torch.cat(column) for column in zip(*context.over_batches("codes", read), strict=True))
    counts = torch.zeros(int(codes.max()) + 1, int(labels.max()) + 1, dtype=torch.long)
    counts.index_put_((codes, labels), torch.ones_like(codes), accumulate=True)
    matched = "label" not in run.model.requires
    right = counts[linear_sum_assignment(counts.numpy(), maximize=True)] if matched else counts.diagonal()
    details = {"images": len(codes), "matched": matched}
    return {"classification_error": MetricValue(1 - right.sum().item() / len(codes), details=details)}


def measure_neighbours(run: Run, context: EvaluationContext, seed: int) -> dict[str, MetricValue]:
    """neighbour_accuracy: share of images of the class of that training image whose latents are nearest (Euclidean)."""

    def encode(number: int, batch: Batch) -> tuple[Tensor, Tensor]:
        z = run.model.encode(batch["x"], *run.model.given(run.model.condition(batch)))
        return z.float().flatten(1).cpu(), batch["label"].cpu()

    (known, classes), (z, labels) = (
        (torch.cat(column) for column in zip(*context.over_batches(what, encode, training), strict=True))
        for what, training in (("latents of training images", True), ("latents", False))
    )
    found = classes[nearest(z, known.split(_PORTION)).rows[:, 0]]
    details = {"images": len(z), "training_images": len(known), "latents": z.shape[1]}
    return {"neighbour_accuracy": MetricValue((found == labels).double().mean().item(), details=details)}
