"""Encoders and decoders by name, each decoder mirroring its encoder: `mlp`, `conv`, `dcgan` or `upsampling`."""

from typing import Any, Literal

from torch import nn

from genlab.contract.data import ImageShape
from genlab.networks.convolutional import ConvDecoder, ConvEncoder
from genlab.networks.dcgan import DCGANDecoder, DCGANEncoder
from genlab.networks.mlp import MLPDecoder, MLPEncoder
from genlab.networks.upsampling import StridedEncoder, UpsamplingDecoder

Network = Literal["mlp", "conv", "dcgan", "upsampling"]

_NETWORKS: dict[str, tuple[Any, Any, set[str]]] = {
    "mlp": (MLPEncoder, MLPDecoder, {"hidden"}),
    "conv": (ConvEncoder, ConvDecoder, {"channels", "max_channels", "dense"}),
    "dcgan": (DCGANEncoder, DCGANDecoder, {"channels", "max_channels"}),
    "upsampling": (StridedEncoder, UpsamplingDecoder, {"channels", "max_channels"}),
}
"""Encoder and decoder by name, and the sizes that they take."""


def make_encoder(network: Network, shape: ImageShape, out_features: int, **options: Any) -> nn.Module:
    """[N, C, H, W] -> [N, out_features]. options: sizes, of which a network takes its own, and those of `Style`."""
    return _NETWORKS[network][0](shape, out_features, **_own(network, options))


def make_decoder(network: Network, in_features: int, shape: ImageShape, **options: Any) -> nn.Module:
    """[N, in_features] -> [N, C, H, W], raw outputs. Takes the encoder's sizes and mirrors them."""
    if "hidden" in options:
        options["hidden"] = options["hidden"][::-1]
    return _NETWORKS[network][1](in_features, shape, **_own(network, options))


def _own(network: Network, options: dict[str, Any]) -> dict[str, Any]:
    """`options` without the sizes that other networks take."""
    others = set().union(*(sizes for _, _, sizes in _NETWORKS.values())) - _NETWORKS[network][2]
    return {name: value for name, value in options.items() if name not in others}
