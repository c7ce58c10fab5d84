"""The window of scalars: exact means, and a NaN that is named."""

import math

import pytest
import torch

from genlab.training.scalars import ScalarWindow, TrainingDiverged


def filled(*values, name="loss", start=1):
    window = ScalarWindow()
    for step, value in enumerate(values, start):
        window.add(step, {name: torch.tensor(value)})
    return window


def test_means_over_the_window_which_then_starts_anew():
    window = filled(1.0, 2.0, 6.0)
    window.add(4, {"kl": torch.tensor(5.0)})
    assert window.means() == {"loss": 3.0, "kl": 5.0}
    assert window.means() == {}
    window.add(5, {"loss": torch.tensor(7.0)})
    assert window.means() == {"loss": 7.0}


def test_gradients_are_not_kept():
    window = ScalarWindow()
    window.add(1, {"loss": torch.ones((), requires_grad=True) * 2})
    assert not window.pending["loss"][0][1].requires_grad


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_names_the_first_step_and_the_term(value):
    window = filled(1.0, value, value, start=7)
    window.add(9, {"a": torch.tensor(value)})
    with pytest.raises(TrainingDiverged, match=rf"^loss became {value} at step 8\. Lower optimizer\.lr"):
        window.means()


def test_nothing_broken_can_be_saved():
    with pytest.raises(TrainingDiverged, match="loss became nan at step 2"):
        filled(1.0, math.nan).state_dict()


def test_an_earlier_state_leaves_what_was_not_finite_behind():
    window = filled(1.0, math.nan)
    assert not window.finite()
    window.load_state_dict({"loss": [6.0, 2]})
    assert window.finite() and window.means() == {"loss": 3.0}
