import pytest
import torch

from genlab.networks.convolutional import ConvDecoder, ConvEncoder, pyramid

SHAPES = [(1, 28, 28), (1, 16, 16), (1, 28, 20), (3, 64, 64), (2, 8, 9), (1, 31, 17), (4, 8, 64)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("options", [{}, {"normalization": "batch", "dropout": 0.1}, {"spectral": True}], ids=str)
def test_the_decoder_retraces_the_encoder_to_the_pixel(shape, options):
    encoder, decoder = ConvEncoder(shape, 5, channels=4, **options), ConvDecoder(5, shape, channels=4, **options)
    x = torch.rand(3, *shape)
    z = encoder(x)
    assert z.shape == (3, 5)
    assert decoder(z).shape == x.shape


def test_the_pyramid_halves_until_the_smaller_side_is_below_eight():
    assert pyramid(28, 28) == [(28, 28), (14, 14), (7, 7)]
    assert pyramid(28, 20) == [(28, 20), (14, 10), (7, 5)]
    assert pyramid(64, 64)[-1] == (4, 4)
    for side in range(8, 200):
        assert 4 <= pyramid(side, side)[-1][0] <= 7


def test_channels_double_up_to_the_cap():
    encoder = ConvEncoder((1, 64, 64), 2, channels=8, max_channels=20)
    assert [layer.out_channels for layer in encoder.body if isinstance(layer, torch.nn.Conv2d)] == [8, 16, 20, 20]


def test_dense_layers_stand_between_the_maps_and_the_output():
    encoder = ConvEncoder((1, 16, 12), 2, channels=4, dense=[7, 9], normalization="batch")
    x = torch.rand(3, 1, 16, 12)
    assert encoder.body(x).shape == (3, 9)
    assert encoder(x).shape == (3, 2)


def test_dense_layers_of_the_decoder_mirror_those_of_the_encoder():
    encoder = ConvEncoder((1, 16, 12), 2, channels=4, dense=[7, 9])
    decoder = ConvDecoder(2, (1, 16, 12), channels=4, dense=[7, 9])

    def widths(network):
        linear = [layer for layer in network.modules() if isinstance(layer, torch.nn.Linear)]
        return [linear[0].in_features, *[layer.out_features for layer in linear]]

    assert widths(encoder) == [4 * 8 * 6, 7, 9, 2]
    assert widths(decoder) == widths(encoder)[::-1]
    assert decoder(encoder(torch.rand(3, 1, 16, 12))).shape == (3, 1, 16, 12)


@pytest.mark.parametrize(
    "build",
    [lambda dense: ConvEncoder((1, 8, 8), 2, dense=dense), lambda dense: ConvDecoder(2, (1, 8, 8), dense=dense)],
)
def test_dense_widths_below_one_are_refused(build):
    with pytest.raises(ValueError, match=r"dense=\[4, 0\]: every width must be at least 1"):
        build([4, 0])


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


@pytest.mark.parametrize("shape", [(1, 7, 28), (3, 28, 4)])
def test_images_that_are_too_small_are_refused_with_what_works(shape):
    for build in (lambda: ConvEncoder(shape, 2), lambda: ConvDecoder(2, shape)):
        with pytest.raises(ValueError, match=f"{shape[1]}x{shape[2]}.*at least 8"):
            build()


def test_bad_options_are_refused():
    with pytest.raises(ValueError, match="channels=0"):
        ConvEncoder((1, 8, 8), 2, channels=0)
    with pytest.raises(ValueError, match=r"activation='tanh'.*leaky_relu"):
        ConvEncoder((1, 8, 8), 2, activation="tanh")
    with pytest.raises(ValueError, match=r"normalization='layer'.*batch"):
        ConvDecoder(2, (1, 8, 8), normalization="layer")
    with pytest.raises(ValueError, match=r"dropout=1\.0"):
        ConvDecoder(2, (1, 8, 8), dropout=1.0)
