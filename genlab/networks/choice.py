"""Encoders and decoders by name, each decoder mirroring its encoder: `mlp`, `conv`, `dcgan` or `upsampling`."""

from collections.abc import Sequence
from typing import Any, Literal

from torch import nn

from genlab.networks.convolutional import ConvDecoder, ConvEncoder
from genlab.networks.dcgan import DCGANDecoder, DCGANEncoder
from genlab.networks.mlp import MLPDecoder, MLPEncoder
from genlab.networks.upsampling import StridedEncoder, UpsamplingDecoder

Network = Literal["mlp", "conv", "dcgan", "upsampling"]


def make_encoder(
    network: Network,
    shape: tuple[int, int, int],
    out_features: int,
    *,
    hidden: Sequence[int] = (512, 256),
    channels: int = 32,
    max_channels: int = 256,
    dense: Sequence[int] = (),
    **options: Any,
) -> nn.Module:
    """[N, C, H, W] -> [N, out_features].

    `hidden` applies to mlp, `channels` and `max_channels` to all others, `dense` to conv.
    """
    if network == "mlp":
        return MLPEncoder(shape, out_features, hidden, **options)
    if network == "conv":
        return ConvEncoder(shape, out_features, channels, max_channels, dense, **options)
    choices: dict[str, Any] = {"dcgan": DCGANEncoder, "upsampling": StridedEncoder}
    return choices[network](shape, out_features, channels, max_channels, **options)


def make_decoder(
    network: Network,
    in_features: int,
    shape: tuple[int, int, int],
    *,
    hidden: Sequence[int] = (512, 256),
    channels: int = 32,
    max_channels: int = 256,
    dense: Sequence[int] = (),
    **options: Any,
) -> nn.Module:
    """[N, in_features] -> [N, C, H, W], raw outputs. Takes the encoder's sizes and mirrors them."""
    if network == "mlp":
        return MLPDecoder(in_features, shape, hidden[::-1], **options)
    if network == "conv":
        return ConvDecoder(in_features, shape, channels, max_channels, dense, **options)
    choices: dict[str, Any] = {"dcgan": DCGANDecoder, "upsampling": UpsamplingDecoder}
    return choices[network](in_features, shape, channels, max_channels, **options)
