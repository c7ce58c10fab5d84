import pytest
import torch

from genlab.networks.convolutional import ConvDecoder, ConvEncoder, pyramid
from genlab.networks.layers import initialize


def test_the_pyramid_halves_until_the_smaller_side_is_below_eight():
    assert pyramid(28, 28) == [(28, 28), (14, 14), (7, 7)]
    assert pyramid(28, 20) == [(28, 20), (14, 10), (7, 5)]
    assert pyramid(64, 64)[-1] == (4, 4)
    for side in range(8, 200):
        assert 4 <= pyramid(side, side)[-1][0] <= 7


def test_channels_double_up_to_the_cap():
    encoder = ConvEncoder((1, 64, 64), 2, channels=8, max_channels=20)
    assert [layer.out_channels for layer in encoder.body if isinstance(layer, torch.nn.Conv2d)] == [8, 16, 20, 20]


def test_dense_layers_of_the_decoder_mirror_those_of_the_encoder():
    encoder = ConvEncoder((1, 16, 12), 2, channels=4, dense=[7, 9])
    decoder = ConvDecoder(2, (1, 16, 12), channels=4, dense=[9, 7])

    def widths(network):
        linear = [layer for layer in network.modules() if isinstance(layer, torch.nn.Linear)]
        return [linear[0].in_features, *[layer.out_features for layer in linear]]

    assert widths(encoder) == [4 * 8 * 6, 7, 9, 2]
    assert widths(decoder) == widths(encoder)[::-1]


def test_every_pixel_is_seen_and_painted():
    torch.manual_seed(0)
    shape = (1, 31, 17)
    encoder, decoder = ConvEncoder(shape, 1, channels=4).double(), ConvDecoder(2, shape, channels=4).double()
    x = torch.rand(1, *shape, dtype=torch.float64, requires_grad=True)
    z = torch.randn(2, 2, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(encoder(x).sum(), x)
    # A 4x4 window of stride 2 with padding 1 leaves out the last row or column of an odd side.
    assert (gradient[:, :, :-1, :-1] != 0).all()
    first, second = decoder(z)
    assert (first != second).all()


def test_spectral_normalization_bounds_the_last_layer():
    encoder = ConvEncoder((1, 8, 8), 3, channels=4, spectral=True)
    for _ in range(30):
        encoder(torch.rand(2, 1, 8, 8))
    assert torch.linalg.matrix_norm(encoder.head.weight, ord=2).item() == pytest.approx(1, abs=1e-2)


def test_weights_without_values_are_not_drawn_as_that_imports_the_compiler(monkeypatch):
    monkeypatch.setattr(torch.nn.init, "normal_", lambda *_, **__: pytest.fail("drawn"))
    with torch.device("meta"):
        initialize(torch.nn.Conv2d(3, 4, 3))
