"""Encoder and decoder by name: `mlp` or `conv`, mirror images of each other."""

from collections.abc import Sequence
from typing import Literal

from torch import nn

from genlab.networks.convolutional import ConvDecoder, ConvEncoder
from genlab.networks.mlp import MLPDecoder, MLPEncoder

Network = Literal["mlp", "conv"]


def make_encoder(
    network: Network,
    shape: tuple[int, int, int],
    out_features: int,
    *,
    hidden: Sequence[int],
    channels: int,
    max_channels: int,
    **options,
) -> nn.Module:
    """[N, C, H, W] -> [N, out_features]. `hidden` shapes the mlp, `channels` and `max_channels` the conv."""
    if network == "mlp":
        return MLPEncoder(shape, out_features, hidden=hidden, **options)
    return ConvEncoder(shape, out_features, channels=channels, max_channels=max_channels, **options)


def make_decoder(
    network: Network,
    in_features: int,
    shape: tuple[int, int, int],
    *,
    hidden: Sequence[int],
    channels: int,
    max_channels: int,
    **options,
) -> nn.Module:
    """[N, in_features] -> [N, C, H, W], raw outputs. `hidden` is the encoder's; the mlp runs through it backwards."""
    if network == "mlp":
        return MLPDecoder(in_features, shape, hidden=list(reversed(hidden)), **options)
    return ConvDecoder(in_features, shape, channels=channels, max_channels=max_channels, **options)
