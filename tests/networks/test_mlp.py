import torch

from genlab.networks.mlp import MLP


def test_a_network_without_hidden_layers_is_linear():
    network = MLP(3, [], 2).double()
    x = torch.randn(4, 3, dtype=torch.float64)
    assert torch.allclose(network(x), x @ network.head.weight.T + network.head.bias)


def test_hidden_layers_are_what_was_asked_for():
    network = MLP(3, [5, 7], 2, activation="silu", normalization="batch", dropout=0.5)
    kinds = [type(layer).__name__ for layer in network.body]
    assert kinds == ["Linear", "SiLU", "Linear", "BatchNorm1d", "SiLU", "Dropout"]
    assert network.body(torch.randn(6, 3)).shape == (6, 7)


def test_spectral_normalization_makes_the_network_1_lipschitz():
    network = MLP(6, [32, 32], 1, activation="relu", spectral=True)
    for _ in range(50):
        network(torch.randn(4, 6))
    network.eval()
    a, b = torch.randn(256, 6), torch.randn(256, 6)
    assert ((network(a) - network(b)).norm(dim=1) <= 1.02 * (a - b).norm(dim=1)).all()
