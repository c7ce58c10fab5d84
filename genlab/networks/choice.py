"""Encoders and decoders by name, each decoder mirroring its encoder: `mlp`, `conv`, `dcgan` or `upsampling`."""

from typing import Any, Literal

from torch import nn

from genlab.contract.data import ImageShape
from genlab.networks.convolutional import ConvDecoder, ConvEncoder
from genlab.networks.dcgan import DCGANDecoder, DCGANEncoder
from genlab.networks.mlp import MLPDecoder, MLPEncoder
from genlab.networks.upsampling import StridedEncoder, UpsamplingDecoder

Network = Literal["mlp", "conv", "dcgan", "upsampling"]


_ENCODERS: dict[str, Any] = {
    "mlp": MLPEncoder, "conv": ConvEncoder, "dcgan": DCGANEncoder, "upsampling": StridedEncoder
}  # fmt: skip
_DECODERS: dict[str, Any] = {
    "mlp": MLPDecoder, "conv": ConvDecoder, "dcgan": DCGANDecoder, "upsampling": UpsamplingDecoder
}  # fmt: skip

_SIZES = {
    "mlp": {"hidden"},
    "conv": {"channels", "max_channels", "dense"},
    "dcgan": {"channels", "max_channels"},
    "upsampling": {"channels", "max_channels"},
}
"""The sizes that each network takes."""


def make_encoder(network: Network, shape: ImageShape, out_features: int, **options: Any) -> nn.Module:
    """[N, C, H, W] -> [N, out_features]. options: sizes, of which a network takes its own, and those of `Style`."""
    return _ENCODERS[network](shape, out_features, **_own(network, options))


def make_decoder(network: Network, in_features: int, shape: ImageShape, **options: Any) -> nn.Module:
    """[N, in_features] -> [N, C, H, W], raw outputs. Takes the encoder's sizes and mirrors them."""
    if network == "mlp" and "hidden" in options:
        options["hidden"] = options["hidden"][::-1]
    return _DECODERS[network](in_features, shape, **_own(network, options))


def _own(network: Network, options: dict[str, Any]) -> dict[str, Any]:
    """`options` without the sizes that other networks take."""
    others = set().union(*_SIZES.values()) - _SIZES[network]
    return {name: value for name, value in options.items() if name not in others}
