"""Binarized MNIST as published: every pixel was drawn once, and everyone measures on the same images.

References:
- Salakhutdinov and Murray 2008, On the Quantitative Analysis of Deep Belief Networks (ICML)
- Larochelle and Murray 2011, The Neural Autoregressive Distribution Estimator (AISTATS), who published the files
"""

from pathlib import Path

import numpy as np
import torch

from genlab.contract.data import DataSpec, Field
from genlab.contract.settings import Place
from genlab.data.checks import check_choice
from genlab.data.numpy_files import DAMAGE, read_array
from genlab.data.source import ArrayExamples, Examples, Source

_URL = "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/binarized_mnist_{part}.amat"
_COUNTS = {"train": 50_000, "valid": 10_000, "test": 10_000}


class BinarizedMnist(Source):
    """Binary digits [1, 28, 28] without labels. The rows of the test part are sorted by class.

    data_dir: holds binarized_mnist/binarized_mnist.npz with arrays train, valid and test [N, 784] of 0 and 1, or the
        published binarized_mnist/binarized_mnist_PART.amat.
    held_out: the part that validation and evaluation measure, "valid" or "test".
    """

    def __init__(self, *, data_dir: Place, held_out: str = "valid"):
        check_choice("held_out", held_out, ("valid", "test"))
        self.folder = Path(data_dir).expanduser() / "binarized_mnist"
        self.parts = {"train": "train", "validation": held_out}
        self.protocol = {"binarize": "static, as published", "held_out": held_out}
        self.spec = DataSpec({"x": Field("image", (1, 28, 28), levels=2)})
        self.sizes = {split: _COUNTS[part] for split, part in self.parts.items()}

    def lies_in(self, root: Path) -> bool:
        """Whether `root` holds a file of the set."""
        files = (f"binarized_mnist{end}" for end in (".npz", *(f"_{part}.amat" for part in _COUNTS)))
        return any((root / "binarized_mnist" / file).is_file() for file in files)

    def open(self, split: str) -> list[Examples]:
        part = self.parts[split]
        archive, text = self.folder / "binarized_mnist.npz", self.folder / f"binarized_mnist_{part}.amat"
        file = archive if archive.is_file() else text
        if not file.is_file():
            raise ValueError(
                f"data_dir={self.folder.parent}: holds neither binarized_mnist/{archive.name} nor "
                f"binarized_mnist/{text.name}; put the latter there from {_URL.format(part=part)}"
            )
        try:
            rows = read_array(str(file), part) if file == archive else np.loadtxt(text, dtype=np.uint8)
            images = torch.from_numpy(np.asarray(rows, dtype=np.uint8))
            if images.shape != (_COUNTS[part], 784) or images.max() > 1:
                raise ValueError(f"{list(images.shape)} values up to {images.max().item()}")
        except DAMAGE as error:
            raise ValueError(
                f"{file}: {part} is damaged, or no {_COUNTS[part]} rows of 784 zeros and ones ({str(error)[:100]}); "
                f"take it from {_URL.format(part=part)}"
            ) from error
        return [ArrayExamples(x=images.view(-1, 1, 28, 28) * 255)]
