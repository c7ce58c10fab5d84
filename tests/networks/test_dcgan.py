"""DCGAN's networks: sizes, what is normalized, how they begin, refusals."""

import pytest
import torch
from torch import nn

from genlab.networks.dcgan import DCGANDecoder, DCGANEncoder
from genlab.networks.layers import INITIAL_DEVIATION


def test_maps_double_and_halve_as_in_the_paper():
    encoder, decoder = DCGANEncoder((1, 64, 64), 1, channels=8, max_channels=64), DCGANDecoder(100, (1, 64, 64), 8, 64)
    assert [layer.out_channels for layer in encoder.body if isinstance(layer, nn.Conv2d)] == [8, 16, 32, 64, 1]
    assert [layer.out_channels for layer in decoder.body if isinstance(layer, nn.ConvTranspose2d)] == [64, 32, 16, 8, 1]


def test_neither_the_layer_at_the_image_nor_the_last_is_normalized():
    encoder, decoder = DCGANEncoder((1, 16, 16), 1, channels=2), DCGANDecoder(3, (1, 16, 16), channels=2)
    kinds = [type(layer).__name__ for layer in encoder.body]
    assert kinds == ["Conv2d", "LeakyReLU", "Conv2d", "BatchNorm2d", "LeakyReLU", "Conv2d", "Flatten"]
    kinds = [type(layer).__name__ for layer in decoder.body]
    assert kinds == ["Unflatten", *["ConvTranspose2d", "BatchNorm2d", "ReLU"] * 2, "ConvTranspose2d"]


@pytest.mark.parametrize("spectral", [False, True])
def test_weights_begin_with_the_deviation_of_the_paper(spectral):
    torch.manual_seed(0)
    encoder = DCGANEncoder((1, 32, 32), 1, channels=32, max_channels=128, spectral=spectral)
    weights = [value for name, value in encoder.named_parameters() if value.dim() == 4]
    assert len(weights) == 4
    for weight in weights:
        assert weight.std().item() == pytest.approx(INITIAL_DEVIATION, rel=0.1)
