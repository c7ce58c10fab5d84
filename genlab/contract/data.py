"""What a dataset hands to a model: `DataSpec` describes the dataset, `Batch` is one draw from it."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor

from genlab.system.seeding import mix

LARGEST_IMAGE = 2**26
"""Maximum number of values in an image: a batch of a few such images fills any machine's memory."""

MOST_CLASSES = 1_000_000

ImageShape = tuple[int, int, int]
"""(channels, height, width)."""

_DOMAINS = (("image",), ("a", "b"))


@dataclass(frozen=True)
class DataSpec:
    """What a dataset provides, known before any data is read; networks derive their shapes from it.

    shape: (channels, height, width) of every image.
    num_classes: number of classes, 0 without labels.
    domains: names of the fields that hold images: ("image",), or ("a", "b") for unpaired domains.
    """

    shape: ImageShape
    num_classes: int = 0
    domains: tuple[str, ...] = ("image",)

    def __post_init__(self):
        if min(self.shape) < 1 or prod(self.shape) > LARGEST_IMAGE:
            raise ValueError(
                f"dataset: images of {'x'.join(map(str, self.shape))} (channels, height, width): each must hold 1 to "
                f"{LARGEST_IMAGE} numbers; give another size, as in dataset.size=64"
            )

    @property
    def provides(self) -> frozenset[str]:
        """Names of the fields that a model may require; compared with `GenerativeModel.requires`."""
        return frozenset(self.domains) | ({"label"} if self.num_classes else set())

    def to_dict(self) -> dict:
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Any) -> "DataSpec":
        """The inverse of `to_dict`. `ValueError` for anything else: checkpoints may come from an untrusted source."""
        if not isinstance(values, dict) or set(values) != {"shape", "num_classes", "domains"}:
            raise ValueError("data: must hold shape, num_classes and domains, and nothing else")
        shape, num_classes, domains = values["shape"], values["num_classes"], values["domains"]
        if not isinstance(shape, list) or len(shape) != 3 or not all(type(side) is int for side in shape):
            raise ValueError(f"data.shape={str(shape)[:100]}: must be 3 whole numbers (channels, height, width)")
        if type(num_classes) is not int or not 0 <= num_classes <= MOST_CLASSES:
            raise ValueError(f"data.num_classes={str(num_classes)[:100]}: must be a whole number, 0 to {MOST_CLASSES}")
        if not isinstance(domains, list) or tuple(domains) not in _DOMAINS:
            raise ValueError(f"data.domains={str(domains)[:100]}: must be [image] or [a, b]")
        return cls(tuple(shape), num_classes, tuple(domains))


class Batch:
    """The fields of one batch by name, and random noise for its rows.

    Fields: images are float [N, C, H, W] in [0, 1], `label` is int64 [N]; a dataset may add others
    (`factors`, ground-truth counterparts). A batch can be a slice of a larger one: row i of a slice is row
    `offset + i` of `total`. `randn`, `rand` and `randint` draw for the full batch and keep the slice's rows, so that
    four micro-batches or two processes get the same noise as one large batch.

    fields: tensors by name. seed: of the noise. size: number of rows. draws: noise tensors drawn so far, which is part
    of the seed of the next one.
    """

    def __init__(self, fields: dict[str, Tensor], seed: int, offset: int = 0, total: int | None = None):
        self.fields = fields
        self.seed = seed
        self.size = len(next(iter(fields.values())))
        self.offset = offset
        self.total = self.size if total is None else total
        self.draws = 0

    def __getitem__(self, name: str) -> Tensor:
        return self.fields[name]

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    @property
    def images(self) -> Tensor:
        """The first field of images (of two domains, `a`); it determines the batch's device and dtype."""
        return next(iter(self.fields.values()))

    def split(self, parts: int) -> Iterator["Batch"]:
        """Cut into `parts` equal consecutive slices; `parts` divides the size."""
        size = self.size // parts
        for start in range(0, self.size, size):
            rows = {name: value[start : start + size] for name, value in self.fields.items()}
            part = Batch(rows, self.seed, self.offset + start, self.total)
            part.draws = self.draws  # draws made before the split (augmentation) are not repeated
            yield part

    def head(self, rows: int) -> "Batch":
        """A batch of the first `rows` rows, or all if there are fewer, with noise of its own."""
        return Batch({name: value[:rows] for name, value in self.fields.items()}, self.seed)

    def randn(self, *shape: int) -> Tensor:
        """Standard normal noise [N, *shape] in the dtype of the images."""
        return self._draw(torch.randn, shape, dtype=self.images.dtype)

    def rand(self, *shape: int) -> Tensor:
        """Uniform noise in [0, 1), [N, *shape] in the dtype of the images."""
        return self._draw(torch.rand, shape, dtype=self.images.dtype)

    def randint(self, high: int) -> Tensor:
        """Uniform int64 [N] in [0, high)."""
        return self._draw(lambda size, **options: torch.randint(high, size, **options), ())

    def _draw(self, sampler: Callable[..., Tensor], shape: tuple[int, ...], **options: Any) -> Tensor:
        device = self.images.device
        generator = torch.Generator(device).manual_seed(mix(self.seed, self.draws))
        self.draws += 1
        whole = sampler((self.total, *shape), generator=generator, device=device, **options)
        return whole[self.offset : self.offset + self.size]
