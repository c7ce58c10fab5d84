"""The moving average against its recursion, and that swapping leaves no trace."""

import pytest
import torch
from torch import nn

from genlab.training.ema import MovingAverage


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.painter = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        self.judge = nn.Linear(4, 1)


def randomise(module):
    with torch.no_grad():
        for value in module.state_dict().values():
            value.copy_(torch.randn(value.shape) if value.is_floating_point() else value + 1)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.999])
def test_follows_the_recursion(decay, float64):
    model = Pair()
    average = MovingAverage(model, ("painter",), decay)
    expected = {f"painter.{name}": v.clone() for name, v in model.painter.state_dict().items() if v.is_floating_point()}
    for step in range(25):
        randomise(model)
        average.update(step)
        now = min(decay, (1 + step) / (10 + step))
        expected = {name: now * v + (1 - now) * model.state_dict()[name] for name, v in expected.items()}
    assert average.state_dict().keys() == expected.keys(), "weights and running statistics of the child alone"
    for name, value in average.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=1e-12, atol=1e-12)


def test_applied_shows_the_averages_and_gives_everything_back():
    model = Pair().eval()
    average = MovingAverage(model, ("painter",), 0.9)
    randomise(model)
    own = {name: value.clone() for name, value in model.state_dict().items()}
    kept = {name: value.clone() for name, value in average.state_dict().items()}
    storage = {name: p.data_ptr() for name, p in model.named_parameters()}
    x = torch.randn(5, 3)
    with pytest.raises(RuntimeError, match="inside"), average.applied():
        inside = model.state_dict()
        assert all(torch.equal(inside[name], value) for name, value in kept.items())
        assert torch.equal(inside["judge.weight"], own["judge.weight"])
        with torch.no_grad():
            reference = Pair().eval()
            reference.load_state_dict({**own, **kept})
            assert torch.equal(model.painter(x), reference.painter(x))
        raise RuntimeError("inside")
    assert all(torch.equal(model.state_dict()[name], value) for name, value in own.items())
    assert all(torch.equal(average.state_dict()[name], value) for name, value in kept.items())
    assert storage == {name: p.data_ptr() for name, p in model.named_parameters()}, "optimizers still hold the weights"
