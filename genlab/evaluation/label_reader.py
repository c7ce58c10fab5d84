"""A small U-Net that reads the classes of a label map from the photograph that belongs to it, for the FCN-score.

A translation from label maps to photographs is right where a reader that was trained on real pairs finds the classes
that were asked for. This reader learns once, from the training pairs of the dataset alone; its values compare only
under the same hash of its weights.

Reference: Isola et al. 2017, section 4.1, https://arxiv.org/abs/1611.07004, with an FCN-8s trained on Cityscapes
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from genlab.data.cache import cached
from genlab.data.fingerprint import data_fingerprint
from genlab.data.loading import as_examples
from genlab.data.order import IndexStream
from genlab.data.source import Source
from genlab.evaluation.classifier import weights_hash
from genlab.media.kinds import shown_kind
from genlab.media.label_maps import classes_of
from genlab.networks.unet import UNet
from genlab.system.device import computing
from genlab.system.optimizers import eager
from genlab.system.portions import rows_at_once
from genlab.system.progress import followed
from genlab.system.seeding import seeded

RECIPE: dict[str, Any] = {
    "channels": 16,
    "max_channels": 128,
    "normalization": "batch",
    "steps": 1_500,
    "batch_size": 8,
    "learning_rate": 3e-3,
}
"""What the weights depend on besides data and seed; part of the cache key."""


class LabelReader:
    """Classes [N, H, W] of the pixels of photographs, of the field `photo`, as the label maps of `labels` would show.

    identity: sha256 of its weights.
    """

    def __init__(self, source: Source, labels: str, photo: str, seed: int = 0):
        spec, recipe = source.spec, RECIPE
        shapes = spec[photo].shape, (len(spec[labels].palette), *spec[labels].shape[1:])
        with seeded(seed):
            self.network = UNet(*shapes, recipe["channels"], recipe["max_channels"], recipe["normalization"]).float()
        weights = {name: value.shape for name, value in self.network.state_dict().items()}  # of this version
        request = {"label_reader": recipe, "network": weights, "data": data_fingerprint(source), "labels": labels,
                   "palette": spec[labels].palette, "seed": seed}  # fmt: skip
        self.network.load_state_dict(cached(request, [], lambda: _train(self.network, source, labels, photo, seed)))
        self.network.eval().requires_grad_(False)
        self.identity = weights_hash(self.network)

    def __call__(self, photographs: Tensor) -> Tensor:
        """int64 [N, H, W], from images [N, C, H, W] in [0, 1] on the CPU."""
        parts = photographs.float().split(rows_at_once(tuple(photographs.shape[1:]), most=64))
        with computing(photographs.device, "fp32"):
            return torch.cat([self.network(2 * part - 1).argmax(1) for part in parts])


@torch.inference_mode(False)  # evaluation disables gradients, training needs them
@torch.enable_grad()
def _train(network: nn.Module, source: Source, labels: str, photo: str, seed: int) -> dict[str, Tensor]:
    """The weights after all steps, on images that are flipped at random."""
    (table,), spec = source.open("train"), source.spec
    kind = shown_kind(spec, photo)
    Adam: Any = eager(torch.optim.Adam)
    optimizer, steps = Adam(network.parameters(), RECIPE["learning_rate"], fused=True), RECIPE["steps"]
    order, size = IndexStream(len(table), seed), RECIPE["batch_size"]
    with seeded(seed, 1), computing(torch.device("cpu"), "fp32"):
        for step in followed(range(steps), "training the reader of label maps, once, step", steps):
            optimizer.param_groups[0]["lr"] = RECIPE["learning_rate"] * (1 - step / steps)
            rows = table.rows(order.take(step * size, size))
            flip = torch.rand(size) < 0.5
            x, y = (kind.augment(as_examples(rows[name], spec[name]), flip, None) for name in (photo, labels))
            loss = cross_entropy(network.train()(2 * x - 1), classes_of(y, spec[labels].palette))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network.state_dict()
