"""Extractors turn images into features for comparison, and into class probabilities if they know classes.

    classifier a small classifier trained on the dataset's own labels (`classifier.py`)
    pixels     the pixels themselves
    values     the entries of points
    inception  the Inception network of the published Frechet distances, through torch-fidelity

References:
    GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium (Heusel et al., 2017)
    https://arxiv.org/abs/1706.08500
    Rethinking the Inception Architecture for Computer Vision (Szegedy et al., 2016) https://arxiv.org/abs/1512.00567
    High-fidelity performance metrics for generative models in PyTorch (Obukhov et al., 2020), the package
    torch-fidelity, https://github.com/toshas/torch-fidelity
"""

import hashlib
import io
import logging
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from genlab.contract.data import Field
from genlab.data.loading import as_examples
from genlab.data.source import Examples, Source
from genlab.evaluation.classifier import LARGEST_SIDE, NUM_FEATURES, load_classifier, reduce
from genlab.media.kinds import KINDS, shown_kind
from genlab.system.device import computing
from genlab.system.download import socket_timeout
from genlab.system.files import build_once
from genlab.system.portions import rows_at_once

logger = logging.getLogger("genlab")


class Reading(NamedTuple):
    """Output of an extractor for N images.

    features: float32 [N, D]. probabilities: float32 [N, K], rows sum to 1; K is 0 if there are no classes.
    """

    features: Tensor
    probabilities: Tensor

    def cpu(self) -> "Reading":
        return Reading(self.features.cpu(), self.probabilities.cpu())


class Extractor(ABC):
    """A fixed mapping from images to features.

    identity: sha256 of what defines it. Metrics compare only if it is the same.
    description: resizing, layer and whatever else is needed to interpret the metrics.
    num_classes: K of the probabilities, 0 if there are none.
    """

    name: ClassVar[str]
    batch: ClassVar[int] = 500  # images per forward pass, to bound the memory

    identity: str
    description: str
    num_classes: int = 0
    reads_labels: bool = False
    """Whether its classes are the dataset's labels."""

    @torch.no_grad()
    def read(self, x: Tensor) -> Reading:
        """Features and probabilities of images [N, C, H, W] in [0, 1], on the extractor's device, in float32.

        `ValueError` if pixels are not finite, or the extractor does not take this shape.
        """
        if not x.isfinite().all():
            raise ValueError("the images hold values that are not finite: has the run diverged?")
        with computing(x.device, "fp32"):  # results must not depend on the caller's precision
            readings = [self._read(part.float()) for part in x.split(self.batch)]
        features, probabilities = zip(*readings, strict=True)
        return Reading(torch.cat(features), torch.cat(probabilities))

    def __call__(self, x: Tensor) -> Tensor:
        """The features alone."""
        return self.read(x).features

    @abstractmethod
    def _read(self, x: Tensor) -> Reading: ...


class Pixels(Extractor):
    """Pixels. Images larger than 32x32 are first average-pooled to at most 32 pixels per side."""

    name = "pixels"

    def __init__(self):
        self.description = f"pixels in [0, 1], sides above {LARGEST_SIDE} averaged over areas to {LARGEST_SIDE}"
        self.identity = hashlib.sha256(self.description.encode()).hexdigest()

    def _read(self, x: Tensor) -> Reading:
        return Reading(reduce(x.float(), LARGEST_SIDE).flatten(1), x.new_empty(len(x), 0))


class Values(Extractor):
    name = "values"
    description = "the entries of points, in the data's units"
    identity = hashlib.sha256(description.encode()).hexdigest()

    def _read(self, x: Tensor) -> Reading:
        return Reading(x.float().flatten(1), x.new_empty(len(x), 0))


class ClassifierFeatures(Extractor):
    """The last hidden layer of a classifier trained on the labels of `source`."""

    name = "classifier"
    reads_labels = True

    def __init__(self, source: Source, device: torch.device | str, seed: int = 0):
        classifier = load_classifier(source, seed)
        self.device, self.network = device, classifier.network.to(device)
        self.shape, self.num_classes = source.spec.shape, source.spec.num_classes
        self.identity, self.accuracy = classifier.identity, classifier.accuracy
        self.description = (
            f"last hidden layer ({NUM_FEATURES} units) of a convolutional classifier of the dataset's "
            f"{self.num_classes} classes, validation accuracy {self.accuracy:.4f}, seed {seed}; sides above "
            f"{LARGEST_SIDE} averaged over areas to {LARGEST_SIDE}"
        )

    def _read(self, x: Tensor) -> Reading:
        if x.shape[1:] != self.shape:
            raise ValueError(
                f"extractor=classifier: its classifier reads images {list(self.shape)}, not {list(x.shape[1:])}; give "
                "the dataset that the run was trained on"
            )
        features, logits = self.network(x.to(self.device, torch.float32))
        return Reading(features, logits.softmax(1))


class Inception(Extractor):
    """The 2048 pooled features and the 1008 classes of the Inception network used for published results."""

    name = "inception"
    batch = 8
    url = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
    identity = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"  # of the published file
    description = (
        "torch-fidelity's InceptionV3 with the TensorFlow weights of 2015-12-05: layer 2048 (pooled), probabilities "
        "from logits_unbiased; images rounded to 8 bits, grey repeated to 3 channels, resized to 299x299 bilinearly "
        "as TensorFlow 1 does"
    )
    num_classes = 1008

    def __init__(self, device: torch.device | str):
        self.device = device
        self.network = _build_inception(self.url, self.identity).to(device)

    def _read(self, x: Tensor) -> Reading:
        if x.shape[1] not in (1, 3):
            raise ValueError(
                f"extractor=inception: it reads grey or colour images, and these have {x.shape[1]} channels; use "
                "extractor=classifier or extractor=pixels"
            )
        x = (x.to(self.device) * 255).round().clamp(0, 255).byte().expand(-1, 3, -1, -1)
        features, logits = self.network(x)
        return Reading(features, logits.softmax(1))


def make_extractor(
    name: str, source: Source | None = None, *, device: torch.device | str = "cpu", seed: int = 0
) -> Extractor:
    """The extractor `name`; "auto": "classifier" for labelled images, else the first that reads this kind of data.

    source: needed only by "classifier" and "auto". seed: of the classifier's training. `ValueError` if there is no such
    extractor, if "classifier" has no labels to learn from, or if torch-fidelity or its weights are missing.
    """
    kind = KINDS["image"] if source is None else shown_kind(source.spec)
    if name == "auto":
        labelled = source is not None and source.spec.num_classes > 1 and "x" in source.spec
        name = "classifier" if labelled and "classifier" in kind.extractors else kind.extractors[0]
    if name not in ("classifier", "pixels", "values", "inception"):
        raise ValueError(f"extractor={name}: no such extractor; use auto, classifier, pixels, values or inception")
    if name not in kind.extractors:
        raise ValueError(f"extractor={name}: does not read {kind.plural}; use extractor=auto")
    if name in ("values", "pixels"):
        return Values() if name == "values" else Pixels()
    if name == "inception":
        return Inception(device)
    if source is None:
        raise ValueError(
            "extractor=classifier: its classifier learns from a dataset; give dataset=..., or extractor=pixels"
        )
    return ClassifierFeatures(source, device, seed)


def read_table(
    table: Examples,
    extractor: Extractor,
    field: Field,
    index: Tensor | None = None,
    *,
    name: str = "x",
    chunk: int = 500,
    progress: bool = True,
) -> Iterator[Reading]:
    """Readings of a table's field `name`, up to `chunk` rows at a time. index: int64 [n], None for all in order."""
    parts = (torch.arange(len(table)) if index is None else index).split(rows_at_once(field.shape, most=chunk))
    for rows in tqdm(parts, "reading images", leave=False, disable=None if progress else True):
        yield extractor.read(as_examples(table.rows(rows)[name], field))


def _build_inception(url: str, sha256: str) -> torch.nn.Module:
    """torch-fidelity's network with the published weights. It executes what a file says, so it gets no other."""
    alternatives = "or use extractor=classifier or extractor=pixels"
    try:
        from torch_fidelity import FeatureExtractorInceptionV3
    except ImportError as error:
        raise ValueError(
            "extractor=inception: the package torch-fidelity is not installed; "
            f"pip install 'genlab[inception]', {alternatives}"
        ) from error
    path = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    if not path.is_file():
        with build_once(path):
            if not path.is_file():
                _download(url, path, sha256, alternatives)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(
            f"extractor=inception: {path} is not the published file (sha256 {sha256}); remove it to download it "
            f"again from {url}, {alternatives}"
        )
    layers, checked = ["2048", "logits_unbiased"], io.BytesIO(content)
    return FeatureExtractorInceptionV3("inception-v3-compat", layers, feature_extractor_weights_path=checked)


def _download(url: str, path: Path, sha256: str, alternatives: str) -> None:
    logger.info("downloading %s to %s", url, path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with socket_timeout():
            torch.hub.download_url_to_file(url, str(path), hash_prefix=sha256, progress=sys.stderr.isatty())
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"extractor=inception: the weights cannot be downloaded ({reason}); put {url} (sha256 {sha256}) at {path} "
            f"by hand, {alternatives}"
        ) from error
