"""Networks by name: shapes there and back, every weight used, refusals with what works."""

from dataclasses import replace

import lab
import pytest
import torch

from genlab.config.check import locate
from genlab.config.options import read_option
from genlab.config.paths import options
from genlab.networks.mlp import FullyConnected

SMALL = {"hidden": [8], "channels": 4, "max_channels": 12}
NORMALIZED, PLAIN, SPECTRAL = {"normalization": "batch"}, {"normalization": "none", "dropout": 0.1}, {"spectral": True}

CASES = [
    *[("mlp", (1, 28, 20), NORMALIZED), ("mlp", (3, 5, 7), SPECTRAL), ("mlp", (2,), NORMALIZED)],
    *[("conv", (1, 28, 28), {}), ("conv", (1, 28, 20), PLAIN), ("conv", (2, 8, 9), NORMALIZED)],
    *[("conv", (1, 31, 17), SPECTRAL), ("conv", (4, 8, 64), {"dense": [7, 9]})],
    *[("dcgan", (1, 8, 8), {}), ("dcgan", (3, 16, 16), PLAIN), ("dcgan", (1, 64, 64), SPECTRAL)],
    *[("upsampling", (1, 4, 4), {}), ("upsampling", (3, 16, 16), PLAIN), ("upsampling", (2, 20, 36), SPECTRAL)],
]


def make(name, **settings):
    """A small network and the style among `settings`."""
    small = lab.network(name, **SMALL)
    sizes = {key: value for key, value in settings.items() if hasattr(small, key)}
    return replace(small, **sizes), {key: value for key, value in settings.items() if key not in sizes}


@pytest.mark.parametrize("name", options("network"))
def test_a_network_is_known_by_the_name_of_its_file(name):
    assert locate("network", read_option("network", name)["_target_"]).name == name


@pytest.mark.parametrize("name, shape, settings", CASES, ids=str)
def test_the_decoder_retraces_the_encoder_to_the_pixel(name, shape, settings):
    network, style = make(name, **settings)
    encoder, decoder = network.encoder(shape, 5, **style), network.decoder(5, shape, **style)
    x = torch.rand(3, *shape)
    z = encoder(x)
    assert z.shape == (3, 5)
    images = decoder(z)
    assert images.shape == x.shape
    images.square().sum().backward()
    assert all(p.grad is not None for part in (encoder, decoder) for p in part.parameters())


@pytest.mark.parametrize("name, key", [("mlp", "hidden"), ("conv", "dense")])
def test_the_decoder_mirrors_the_encoder_unless_it_has_widths_of_its_own(name, key):
    def linear(module):
        return [layer.out_features for layer in module.modules() if isinstance(layer, torch.nn.Linear)]

    mirrored, own = make(name, **{key: [7, 9]})[0], make(name, **{key: [7, 9], f"decoder_{key}": [5]})[0]
    assert linear(mirrored.encoder((1, 8, 8), 2))[:2] == linear(own.encoder((1, 8, 8), 2))[:2] == [7, 9]
    assert linear(mirrored.decoder(2, (1, 8, 8)))[:2] == [9, 7]
    assert linear(own.decoder(2, (1, 8, 8)))[0] == 5 and linear(own.decoder(2, (1, 8, 8)))[1] not in (7, 9)


@pytest.mark.parametrize("name", ["conv", "dcgan", "upsampling"])
def test_networks_of_images_refuse_points_with_the_way_out(name):
    for build in (lambda: lab.network(name).encoder((2,), 3), lambda: lab.network(name).decoder(3, (2,))):
        with pytest.raises(ValueError, match=rf"network={name}.*\[2\].*network=mlp"):
            build()


def test_a_part_that_a_network_does_not_make_is_refused_with_those_that_do():
    with pytest.raises(ValueError, match=r"network=mlp: .*translators.*resnet"):
        FullyConnected().translator((3, 16, 16), (3, 16, 16))
    for build in (lambda n: n.encoder((3, 16, 16), 2), lambda n: n.decoder(2, (3, 16, 16))):
        with pytest.raises(ValueError, match=r"network=resnet: .*coders.*conv, dcgan, mlp"):
            build(lab.network("resnet"))


@pytest.mark.parametrize(
    "name, size, settings, message",
    [
        ("mlp", (8, 8), {"hidden": [8, 0]}, r"network\.hidden=\[8, 0\]"),
        ("mlp", (8, 8), {"dropout": 1.5}, r"dropout=1\.5"),
        ("conv", (7, 28), {}, "7x28.*at least 8"),
        ("conv", (28, 4), {}, "28x4.*at least 8"),
        ("conv", (8, 8), {"channels": 0}, "network.channels=0"),
        ("conv", (8, 8), {"channels": 64, "max_channels": 32}, "channels=64, network.max_channels=32"),
        ("conv", (8, 8), {"dense": [4, 0]}, r"network\.dense=\[4, 0\]: every width must be at least 1"),
        ("conv", (8, 8), {"activation": "tanh"}, "activation='tanh'.*leaky_relu"),
        ("conv", (16, 16), {"normalization": "layer"}, "normalization='layer'.*batch"),
        ("conv", (8, 8), {"dropout": 1.0}, r"dropout=1\.0"),
        ("dcgan", (28, 28), {}, "28x28.*8, 16, 32, 64.*dataset.size=32"),
        ("dcgan", (32, 64), {}, "32x64.*8, 16, 32, 64.*dataset.size=32"),
        ("dcgan", (4, 4), {}, "4x4.*8, 16, 32, 64.*dataset.size=32"),
    ],
)
def test_bad_values_are_refused_with_what_works(name, size, settings, message):
    for part in ("encoder", "decoder"):
        with pytest.raises(ValueError, match=message):
            network, style = make(name, **settings)
            getattr(network, part)(*((1, *size), 2) if part == "encoder" else (2, (1, *size)), **style)
