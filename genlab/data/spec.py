"""What crosses from data to models: `DataSpec` says what a dataset holds, `Batch` is one draw from it."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from genlab.seeding import mix


@dataclass(frozen=True)
class DataSpec:
    """What a dataset provides, known before any of it is read; networks derive their shapes from it.

    shape: (channels, height, width) of every picture.
    num_classes: number of labels, 0 where there are none.
    domains: names of the fields that hold pictures: ("image",), or ("a", "b") for unpaired domains.
    """

    shape: tuple[int, int, int]
    num_classes: int = 0
    domains: tuple[str, ...] = ("image",)

    @property
    def provides(self) -> frozenset[str]:
        """Names of the fields of a batch, as `GenerativeModel.requires` asks for them."""
        return frozenset(self.domains) | ({"label"} if self.num_classes else set())

    def to_dict(self) -> dict:
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict) -> "DataSpec":
        return cls(tuple(values["shape"]), values["num_classes"], tuple(values["domains"]))


class Batch:
    """Fields of one batch by name, and random numbers that belong to its rows.

    Fields: pictures are float [N, C, H, W] in [0, 1], `label` is int64 [N]; a dataset may add others
    (`factors`, true counterparts). A batch can be a slice of a larger one: row i of a slice is row
    `offset + i` of `total`. `randn`, `rand` and `randint` draw for the whole and keep the slice's rows, so that
    four micro-batches or two processes see the very noise that one large batch would have seen.
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
    def pictures(self) -> Tensor:
        """The first field: the picture that stands for device and dtype of the batch."""
        return next(iter(self.fields.values()))

    def split(self, parts: int) -> Iterator["Batch"]:
        """Cut into `parts` equal consecutive slices."""
        size = self.size // parts
        for start in range(0, self.size, size):
            rows = {name: value[start : start + size] for name, value in self.fields.items()}
            part = Batch(rows, self.seed, self.offset + start, self.total)
            part.draws = self.draws  # what was drawn before the cut (augmentation) is not drawn again
            yield part

    def head(self, rows: int) -> "Batch":
        """The first `rows` rows (fewer where there are fewer)."""
        return Batch({name: value[:rows] for name, value in self.fields.items()}, self.seed)

    def randn(self, *shape: int) -> Tensor:
        """Standard normal noise [N, *shape] in the dtype of the pictures."""
        return self._draw(torch.randn, shape, dtype=self.pictures.dtype)

    def rand(self, *shape: int) -> Tensor:
        """Uniform noise in [0, 1), [N, *shape] in the dtype of the pictures."""
        return self._draw(torch.rand, shape, dtype=self.pictures.dtype)

    def randint(self, high: int) -> Tensor:
        """Uniform int64 [N] in [0, high)."""
        return self._draw(lambda size, **options: torch.randint(high, size, **options), ())

    def _draw(self, sampler: Callable[..., Tensor], shape: tuple[int, ...], **options) -> Tensor:
        device = self.pictures.device
        generator = torch.Generator(device).manual_seed(mix(self.seed, self.draws))
        self.draws += 1
        whole = sampler((self.total, *shape), generator=generator, device=device, **options)
        return whole[self.offset : self.offset + self.size]
