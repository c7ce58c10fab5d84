"""Encoders and decoders by name: shapes there and back, every weight used, refusals with what works."""

import pytest
import torch

from genlab.networks.choice import make_decoder, make_encoder

SMALL = {"hidden": [8], "channels": 4, "max_channels": 12}
NORMALIZED, PLAIN, SPECTRAL = {"normalization": "batch"}, {"normalization": "none", "dropout": 0.1}, {"spectral": True}

CASES = [
    *[("mlp", (1, 28, 20), NORMALIZED), ("mlp", (3, 5, 7), SPECTRAL)],
    *[("conv", (1, 28, 28), {}), ("conv", (1, 28, 20), PLAIN), ("conv", (2, 8, 9), NORMALIZED)],
    *[("conv", (1, 31, 17), SPECTRAL), ("conv", (4, 8, 64), {"dense": [7, 9]})],
    *[("dcgan", (1, 8, 8), {}), ("dcgan", (3, 16, 16), PLAIN), ("dcgan", (1, 64, 64), SPECTRAL)],
    *[("upsampling", (1, 4, 4), {}), ("upsampling", (3, 16, 16), PLAIN), ("upsampling", (2, 20, 36), SPECTRAL)],
]


@pytest.mark.parametrize("network, shape, options", CASES, ids=str)
def test_the_decoder_retraces_the_encoder_to_the_pixel(network, shape, options):
    encoder = make_encoder(network, shape, 5, **SMALL | options)
    decoder = make_decoder(network, 5, shape, **SMALL | options)
    x = torch.rand(3, *shape)
    z = encoder(x)
    assert z.shape == (3, 5)
    images = decoder(z)
    assert images.shape == x.shape
    images.square().sum().backward()
    assert all(p.grad is not None for part in (encoder, decoder) for p in part.parameters())


@pytest.mark.parametrize(
    "network, size, options, message",
    [
        ("mlp", (8, 8), {"hidden": [8, 0]}, r"hidden=\[(8, 0|0, 8)\]"),
        ("mlp", (8, 8), {"dropout": 1.5}, r"dropout=1\.5"),
        ("conv", (7, 28), {}, "7x28.*at least 8"),
        ("conv", (28, 4), {}, "28x4.*at least 8"),
        ("conv", (8, 8), {"channels": 0}, "channels=0"),
        ("conv", (8, 8), {"channels": 64, "max_channels": 32}, "channels=64, max_channels=32"),
        ("conv", (8, 8), {"dense": [4, 0]}, r"dense=\[4, 0\]: every width must be at least 1"),
        ("conv", (8, 8), {"activation": "tanh"}, "activation='tanh'.*leaky_relu"),
        ("conv", (16, 16), {"normalization": "layer"}, "normalization='layer'.*batch"),
        ("conv", (8, 8), {"dropout": 1.0}, r"dropout=1\.0"),
        ("dcgan", (28, 28), {}, "28x28.*8, 16, 32, 64.*dataset.size=32"),
        ("dcgan", (32, 64), {}, "32x64.*8, 16, 32, 64.*dataset.size=32"),
        ("dcgan", (4, 4), {}, "4x4.*8, 16, 32, 64.*dataset.size=32"),
    ],
)
def test_bad_values_are_refused_with_what_works(network, size, options, message):
    for build in (
        lambda: make_encoder(network, (1, *size), 2, **options),
        lambda: make_decoder(network, 2, (1, *size), **options),
    ):
        with pytest.raises(ValueError, match=message):
            build()
