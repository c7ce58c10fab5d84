"""The interface of a network choice: `network=NAME` names an architecture, which builds the parts of a model.

A model takes it as `network: Network` and asks for its parts. What differs between the networks of one model, such as
normalization in a generator but not in a discriminator, is the model's to say: `style`, the options of `layers.Style`.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any, ClassVar, NoReturn

from torch import nn

from genlab.networks.autoregressive import AutoregressiveNet

Shape = tuple[int, ...]
"""Shape of one example: (C, H, W) of images, (D,) of points."""


class Network:
    """An architecture with its sizes, frozen. A subclass makes some of the parts; it is a frozen dataclass whose fields
    are the keys of `configs/network/NAME.yaml`.

    name: that NAME. images_only: whether it serves no other shapes than (C, H, W). conditional: whether its decoder can
    normalize by a condition: `decoder(..., told=K, normalization="conditional")`, where the last K inputs are one.
    All parts give raw outputs, which are neither squashed nor limited to a range.
    """

    name: ClassVar[str] = "?"
    images_only: ClassVar[bool] = True
    conditional: ClassVar[bool] = False

    def encoder(self, shape: Shape, out_features: int, **style: Any) -> nn.Module:
        """[N, *shape] -> [N, out_features]. `ValueError` if it does not serve this shape or makes no encoders."""
        self._makes_no("encoder")

    def decoder(self, in_features: int, shape: Shape, **style: Any) -> nn.Module:
        """[N, in_features] -> [N, *shape]. `ValueError` as above."""
        self._makes_no("decoder")

    def translator(self, in_shape: Shape, out_shape: Shape, **style: Any) -> nn.Module:
        """[N, *in_shape] -> [N, *out_shape]. `ValueError` as above."""
        self._makes_no("translator")

    def autoregressive(self, shape: Shape, per_entry: int, features: int = 0) -> AutoregressiveNet:
        """[N, *shape] -> [N, per_entry, *shape]; features: size of what all outputs may depend
        on. `ValueError` as above."""
        self._makes_no("autoregressive network")

    def denoiser(self, shape: Shape, features: int = 0) -> nn.Module:
        """x [N, *shape], times t [N] in [0, 1] and features [N, F] or None -> [N, *shape]. `ValueError` as above."""
        self._makes_no("denoiser")

    def check_shape(self, *shapes: Shape) -> None:
        """`ValueError` if there are no images of these shapes, and the network serves only images."""
        for shape in shapes:
            if self.images_only and len(shape) != 3:
                raise ValueError(
                    f"network={self.name}: serves images, not data of shape {list(shape)}; choose network=mlp"
                )

    def _makes_no(self, part: str) -> NoReturn:
        able = ", ".join(_networks_with(part.partition(" ")[0]))
        raise ValueError(f"network={self.name}: makes no {part}s; networks that do: {able}")


def _networks_with(part: str) -> list[str]:
    """Names of all networks that make a part, those of other packages included if they are imported."""
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{__package__}.{module.name}")
    named = [found for found in _kinds(Network) if found.name != Network.name]
    return sorted(found.name for found in named if getattr(found, part) is not getattr(Network, part))


def _kinds(base: type[Network]) -> Iterator[type[Network]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _kinds(kind)
