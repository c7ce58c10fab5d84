"""The Inception network of the published Frechet distances, through torch-fidelity, for the extractor `inception`.

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
from pathlib import Path

import torch
from torch import Tensor

from genlab.data.cache import weights_file
from genlab.evaluation.extractor import Extractor, Reading
from genlab.system.download import socket_timeout
from genlab.system.files import build_once

logger = logging.getLogger("genlab")


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
    path = weights_file(url.rpartition("/")[2])
    if not path.is_file():
        with build_once(path):
            if not path.is_file():
                _download(url, path, sha256, alternatives)
    if hashlib.sha256(content := path.read_bytes()).hexdigest() != sha256:
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
