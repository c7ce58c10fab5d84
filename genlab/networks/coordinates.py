"""From the range of the data to the range that networks work in, and back.

Bounded kinds, such as images, have a fixed range. Points have none: they are standardized by their mean and standard
deviation, so that one recipe serves data of any units.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from genlab.contract.data import Field
from genlab.media.kinds import kind_of
from genlab.media.label_maps import classes_of


class Coordinates(nn.Module):
    """Coordinates of a field: bounded kinds in [-1, 1] if `interval` is "signed", in [0, 1] if "unit"; others with
    mean 0 and standard deviation 1.

    log_scale: sum over the entries of log(size of a unit of these coordinates in data units), by which a
        log-density in these coordinates exceeds that of the data.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, field: Field, interval: Literal["signed", "unit"]):
        super().__init__()
        self.bounds, self.interval = kind_of(field).bounds, interval
        if self.bounds is None:
            size = field.shape[0]
            for name, default in (("centre", 0.0), ("scale", 1.0)):
                values = getattr(field, name) or (default,) * size
                self.register_buffer(name, torch.tensor(values, dtype=torch.get_default_dtype()), persistent=False)

    def inward(self, x: Tensor) -> Tensor:
        """Examples [N, *shape] in data units, in these coordinates."""
        if self.bounds is None:
            return (x - self.centre) / self.scale
        if self.bounds == (0.0, 1.0):
            return x if self.interval == "unit" else 2 * x - 1
        return x if self.interval == "signed" else (1 + x) / 2

    def squash(self, raw: Tensor) -> Tensor:
        """Raw outputs of a network to valid coordinates: tanh, sigmoid, or nothing for unbounded kinds."""
        if self.bounds is None:
            return raw
        return raw.sigmoid() if self.interval == "unit" else raw.tanh()

    def outward(self, y: Tensor) -> Tensor:
        """The inverse of `inward`."""
        if self.bounds is None:
            return self.centre + self.scale * y
        if self.bounds == (0.0, 1.0):
            return y if self.interval == "unit" else (1 + y) / 2
        return y if self.interval == "signed" else 2 * y - 1

    @property
    def log_scale(self) -> Tensor | float:
        return self.scale.log().sum() if self.bounds is None else 0.0


class Seen(nn.Module):
    """What a network sees of images: label maps as one-hot classes, others in [-1, 1].

    shape: of it, (K, H, W) for K classes.
    """

    def __init__(self, field: Field):
        super().__init__()
        self.palette, self.coordinates = field.palette, Coordinates(field, "signed")
        self.shape = (len(field.palette), *field.shape[1:]) if field.palette else field.shape

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, C, H, W] in [0, 1] to [N, *shape]."""
        if not self.palette:
            return self.coordinates.inward(x)
        classes = torch.arange(len(self.palette), device=x.device)[:, None, None]
        return (classes_of(x, self.palette).unsqueeze(1) == classes).to(x.dtype)
