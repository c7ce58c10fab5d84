"""How many combinations of classes samples show whose channels are images of their own.

Reference: Lin, Khetan, Fanti, Oh 2018, PacGAN: The Power of Two Samples in GANs, https://arxiv.org/abs/1712.04086
(1,000 modes of stacked digits in 26,000 samples)
"""

import math
from typing import Any

import torch

from genlab.evaluation.classifier import load_classifier
from genlab.evaluation.context import EvaluationContext, MetricValue
from genlab.evaluation.samples import SampleBatch, SampleMetric
from genlab.metrics.classes import entropy
from genlab.system.device import computing

_COUNTED = 26_000
"""Samples in which modes are counted, as in the paper."""


def channel_modes(context: EvaluationContext, num_samples: int, seed: int) -> SampleMetric:
    """combinations_covered, and combination_divergence: the KL divergence of their shares from even ones, in nats."""
    assert context.source.channel, "a metric for data whose channels are images"
    reader = load_classifier(context.source.channel)
    channels, classes = context.source.spec.shape[0], context.source.channel.spec.num_classes
    counts = torch.zeros(classes**channels, dtype=torch.long)
    places = classes ** torch.arange(channels)

    def update(drawn: SampleBatch) -> None:
        images = drawn.images[: max(0, _COUNTED - int(counts.sum()))].cpu()
        if len(images):
            with torch.no_grad(), computing(images.device, "fp32"):
                found = reader.network(images.flatten(0, 1).unsqueeze(1))[1].argmax(1)
            counts.add_((found.unflatten(0, (-1, channels)) * places).sum(1).bincount(minlength=len(counts)))

    def result() -> dict[str, MetricValue]:
        details: dict[str, Any] = {
            "samples": int(counts.sum()),
            "combinations": len(counts),
            "classifier_accuracy": reader.accuracy,
        }
        details |= {"classifier_sha256": reader.identity}
        divergence = math.log(len(counts)) - entropy(counts)
        return {
            "combinations_covered": MetricValue(int((counts > 0).sum()), details=details),
            "combination_divergence": MetricValue(divergence, details=details),
        }

    return SampleMetric(update, result)
