"""A small classifier of a dataset's own labels, for the extractor `classifier`.

It is trained once per dataset, always on the CPU, so that the same seed and number of threads give bit-identical
weights. It is kept in the cache folder and identified by the hash of its weights. Distances between its features are
computed like the Frechet Inception Distance, but with this network. They compare only under the same hash.

A tenth of the training images decides how long it trains: the learning rate falls where their loss no longer does, and
the weights with the smallest loss are kept. The validation images have no part in that, and give the accuracy.

Reference: GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium (Heusel et al., 2017)
https://arxiv.org/abs/1706.08500
"""

import hashlib
import logging
import math
import time
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, cross_entropy

from genlab.contract.data import DataSpec, ImageShape
from genlab.data.cache import cache_dir, cached
from genlab.data.fingerprint import add_tensors, data_fingerprint
from genlab.data.order import IndexStream
from genlab.data.source import Source
from genlab.media.kinds import shown_kind
from genlab.system.device import computing
from genlab.system.optimizers import eager
from genlab.system.portions import rows_at_once
from genlab.system.progress import followed, progress
from genlab.system.seeding import mix, seeded
from genlab.system.text import time_in_words

logger = logging.getLogger("genlab")

LARGEST_SIDE = 32
"""Longer sides of images are average-pooled to this many pixels."""
NUM_FEATURES = 64
RECIPE: dict[str, Any] = {
    "widths": [24, 48, 64],
    "features": NUM_FEATURES,
    "largest_side": LARGEST_SIDE,
    "steps": 3_000,
    "steps_of_a_round": 150,
    "batch_size": 128,
    "learning_rates": [3e-3, 1e-3, 3e-4],
    "patience": 2,
    "least_gain": 1e-3,
    "dropout": 0.3,
    "shift": 1 / 8,
    "most_training_examples": 60_000,
    "most_stopping_examples": 5_000,
    "most_validation_examples": 10_000,
}
"""What the weights depend on besides data and seed; part of the cache key."""
_CHUNK = 1_000


class Network(nn.Module):
    """Three convolutions that each halve the resolution, then two linear layers. Takes images of 8x8 pixels or more.

    Features are normalized before their ReLU, so that kernels of a fixed scale get values of order 1.
    """

    def __init__(self, shape: ImageShape, num_classes: int):
        super().__init__()
        channels, height, width = shape
        if min(height, width) < 8:
            raise ValueError(
                f"extractor=classifier: its classifier takes 8x8 pixels or more, and these are {height}x{width}"
            )
        height, width = (min(side, LARGEST_SIDE) // 8 for side in (height, width))
        layers: list[nn.Module] = []
        for before, after in zip([channels, *RECIPE["widths"]], RECIPE["widths"], strict=False):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
        layers += [nn.Flatten(), nn.Dropout(RECIPE["dropout"])]
        layers += [nn.Linear(RECIPE["widths"][-1] * height * width, NUM_FEATURES)]
        layers += [nn.BatchNorm1d(NUM_FEATURES, affine=False), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.logits = nn.Linear(NUM_FEATURES, num_classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features [N, 64] and logits [N, K] of images [N, C, H, W] in [0, 1]."""
        features = self.features(reduce(x, LARGEST_SIDE))
        return features, self.logits(features)


@dataclass
class Classifier:
    """A trained network, frozen, in evaluation mode and float32.

    identity: sha256 of its weights. accuracy: fraction of the validation labels that it predicts correctly. chance:
    fraction of the most frequent one.
    """

    network: Network
    identity: str
    accuracy: float
    chance: float


def load_classifier(source: Source, seed: int = 0) -> Classifier:
    """The classifier for the labels of `source`, on the CPU: from the cache, or trained and cached.

    `ValueError` if the data has no labels, or images under 8x8 pixels.
    """
    spec = source.spec
    if spec.num_classes < 2:
        raise ValueError(
            "extractor=classifier: its classifier learns from labels, and this dataset has none; use extractor=pixels "
            "or extractor=inception"
        )
    network = _initial(spec, seed)
    shapes = {name: value.shape for name, value in network.state_dict().items()}  # of this version
    request = {"classifier": RECIPE, "network": shapes, "data": data_fingerprint(source), "seed": seed}

    def make() -> dict[str, Tensor]:
        kept = f"kept in {cache_dir()}" if cache_dir() else "not kept: GENLAB_CACHE is empty"
        logger.info(
            "training the classifier of the dataset's %d classes, once: a minute or two for %d steps at most, %s; "
            "extractor=random-conv does without", spec.num_classes, RECIPE["steps"], kept)  # fmt: skip
        begin = time.monotonic()
        found = train(source, seed)
        told = found.accuracy, time_in_words(time.monotonic() - begin)
        logger.info("trained the classifier: accuracy %.4f on held-out images, after %s", *told)
        measured = torch.tensor([found.accuracy, found.chance], dtype=torch.float64)
        return {**found.network.state_dict(), "measured": measured}

    table = cached(request, [], make)
    network.load_state_dict({name: value for name, value in table.items() if name != "measured"})
    return Classifier(network.eval().requires_grad_(False), weights_hash(network), *table["measured"].tolist())


@torch.inference_mode(False)  # evaluation disables gradients, training needs them
def train(source: Source, seed: int) -> Classifier:
    """Train the classifier with this seed, and measure its accuracy on the validation split."""
    network = _initial(source.spec, seed)
    x, y = _gather(source, "train", RECIPE["most_training_examples"], seed)
    rows = torch.randperm(len(x), generator=torch.Generator().manual_seed(mix(seed, 2)))
    stopping = rows[: min(math.ceil(len(x) / 10), RECIPE["most_stopping_examples"])]
    with seeded(seed, 1), computing(x.device, "fp32"):  # the weights must not depend on the caller's precision
        _fit(network, source.spec, (x, y), rows[len(stopping) :] if len(x) > 1 else rows, stopping, seed)
        network.eval().requires_grad_(False)
        x, y = _gather(source, "validation", RECIPE["most_validation_examples"], seed)
        accuracy = (_logits(network, x).argmax(1) == y).double().mean().item()
    return Classifier(network, weights_hash(network), accuracy, y.bincount().max().item() / len(y))


def _fit(
    network: Network, spec: DataSpec, data: tuple[Tensor, Tensor], rows: Tensor, stopping: Tensor, seed: int
) -> None:
    """Train on `rows` of the images and labels `data`, to the smallest loss of the rows `stopping`."""
    x, y = data
    Adam: Any = eager(torch.optim.Adam)
    order, rates = IndexStream(len(rows), seed), iter(RECIPE["learning_rates"])
    optimizer = Adam(network.parameters(), next(rates), fused=True)
    best, least, since = network.state_dict(), math.inf, 0
    reach, kind = int(min(x.shape[-2:]) * RECIPE["shift"]), shown_kind(spec)
    steps = range(RECIPE["steps"])
    for step in followed(steps, "training the classifier, step", len(steps)):
        batch = rows[order.take(step * RECIPE["batch_size"], RECIPE["batch_size"])]
        down, right = torch.randint(-reach, reach + 1, (2, len(batch)))
        _, logits = network.train()(kind.augment(x[batch], None, (down, right)).float() / 255)
        optimizer.zero_grad()
        cross_entropy(logits, y[batch]).backward()
        optimizer.step()
        if (step + 1) % RECIPE["steps_of_a_round"] and step + 1 < RECIPE["steps"]:
            continue
        loss, since = cross_entropy(_logits(network, x[stopping]), y[stopping]).item(), since + 1
        if loss < least - RECIPE["least_gain"]:
            best, least, since = deepcopy(network.state_dict()), loss, 0
        if since >= RECIPE["patience"]:
            if (rate := next(rates, None)) is None:
                break
            network.load_state_dict(best)
            optimizer, since = Adam(network.parameters(), rate, fused=True), 0
    network.load_state_dict(best)


@torch.no_grad()
def _logits(network: Network, x: Tensor) -> Tensor:
    network.eval()
    return torch.cat([network(part.float() / 255)[1] for part in x.split(_CHUNK)])


def reduce(x: Tensor, largest: int) -> Tensor:
    """Average-pool images [N, C, H, W] to at most `largest` pixels per side; smaller sides are unchanged."""
    height, width = (min(side, largest) for side in x.shape[-2:])
    return x if (height, width) == x.shape[-2:] else adaptive_avg_pool2d(x, (height, width))


def weights_hash(network: nn.Module) -> str:
    """sha256 over the names and values of a state dict."""
    digest = hashlib.sha256()
    add_tensors(digest, network.state_dict())
    return digest.hexdigest()


def _gather(source: Source, split: str, most: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images as uint8, average-pooled, and labels of at most `most` examples drawn by `seed`."""
    (table,) = source.open(split)
    generator = torch.Generator().manual_seed(mix(seed))
    index = torch.randperm(len(table), generator=generator)[:most].sort().values
    images, labels = [], []
    chunks = index.split(rows_at_once(source.spec.shape, most=_CHUNK))
    with progress(f"reading {split} images", len(index)) as count_on:
        for rows in chunks:
            fields = table.rows(rows)
            images.append(reduce(fields["x"].float(), LARGEST_SIDE).round().byte())
            labels.append(fields["label"])
            count_on(len(rows))
    return torch.cat(images), torch.cat(labels)


def _initial(spec: DataSpec, seed: int) -> Network:
    with seeded(seed):
        return Network(spec.shape, spec.num_classes).float()
