"""Starting from another run's weights: what fits is taken, and everything is said."""

import pytest
import torch
from torch import nn

from genlab.runs.transfer import transfer


def network(width, out=2):
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, width), nn.Linear(width, out))


def test_takes_what_fits_by_name_and_shape():
    source, target = network(5), network(6)
    before = {name: value.clone() for name, value in target.state_dict().items()}
    summary = transfer(target, source.state_dict() | {"extra": torch.zeros(1)})
    after = target.state_dict()
    for name in ("0.weight", "0.bias", "2.bias"):
        assert torch.equal(after[name], source.state_dict()[name])
    for name in ("1.weight", "1.bias", "2.weight"):
        assert torch.equal(after[name], before[name])
    assert summary == (
        "init_from: 3 of 6 weights taken; new here: 1.bias, 1.weight, 2.weight; "
        "left out: 1.bias, 1.weight, 2.weight, extra"
    )
    assert transfer(network(5), source.state_dict()) == "init_from: 6 of 6 weights taken"


def test_refuses_where_nothing_fits():
    with pytest.raises(ValueError, match="init_from: no weight of that run fits"):
        transfer(network(5), nn.Conv2d(1, 1, 3).state_dict())
