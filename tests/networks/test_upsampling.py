"""Resize-convolutions: sizes, evenness, order of the layers, refusals."""

import pytest
import torch
from torch import nn

from genlab.networks.upsampling import StridedEncoder, UpsamplingDecoder


def test_maps_follow_the_sizes_asked_for():
    encoder, decoder = StridedEncoder((1, 32, 32), 1, 16, 128), UpsamplingDecoder(100, (1, 32, 32), 16, 128)
    assert [layer.out_channels for layer in encoder.body if isinstance(layer, nn.Conv2d)] == [16, 32, 64, 128]
    assert [layer.out_channels for layer in decoder.body if isinstance(layer, nn.Conv2d)] == [128, 64, 1]


def test_the_encoder_drops_out_before_it_normalizes_and_leaves_the_first_layer_as_it_is():
    kinds = [type(layer).__name__ for layer in StridedEncoder((1, 32, 32), 1, channels=2, dropout=0.25).body]
    layer = ["Conv2d", "LeakyReLU", "Dropout2d"]
    assert kinds == [*layer, *[*layer, "BatchNorm2d"] * 3, "Flatten", "Linear"]


def test_what_is_even_stays_even():
    """No checkerboard: where all maps are constant, the inner pixels of the image are."""
    torch.manual_seed(0)
    decoder = UpsamplingDecoder(2, (1, 32, 32), channels=2, normalization="none").double()
    start = decoder.body[1](decoder.body[0](torch.randn(1, 2, dtype=torch.float64)))
    even = start.mean((2, 3), keepdim=True).expand_as(start)
    inner = decoder.body[2:](even)[..., 8:-8, 8:-8]
    assert inner.std() < 1e-12 * inner.abs().max()


@pytest.mark.parametrize("size", [(30, 32), (32, 7)], ids=str)
def test_other_sizes_are_refused_with_what_works(size):
    with pytest.raises(ValueError, match=f"{size[0]}x{size[1]}.*multiples of 4.*dataset.size=32"):
        UpsamplingDecoder(2, (1, *size))
