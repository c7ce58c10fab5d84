"""Conditions of samples: from a command line's values, in turn by default, and refused with the way out."""

import numpy as np
import pytest
import torch

from genlab.contract.data import DataSpec, Field
from genlab.contract.model import GenerativeModel
from genlab.inference.conditioning import Conditioning

LABEL = Field("label", size=3, names=("Boot", "Sneaker", "Shirt"))
DATA = DataSpec({"x": Field("image", (1, 2, 2)), "label": LABEL, "factors": Field("factors", (2,))})


class Labelled(GenerativeModel):
    conditions = ("label",)

    def sample(self, num_samples, condition=None, *, truncation: float | None = None, steps: int = 10): ...


class Described(Labelled):
    conditions = ("label", "factors")


def of(family=Labelled, data=DATA):
    return Conditioning(family(data), family.__name__.lower())


@pytest.mark.parametrize("value, number", [(0, 0), (2, 2), ("Sneaker", 1)])
def test_a_class_is_given_by_number_or_name(value, number):
    assert of().constant(4, {"label": value})["label"].tolist() == [number] * 4
    assert of().varied(4, values={"label": value})["label"].tolist() == [number] * 4


@pytest.mark.parametrize(
    "names, value, number",
    [
        (("1", "2", "10"), 2, 1),
        (("1", "2", "10"), "10", 2),
        (("01", "02", "03"), 2, 1),
        (("02", "2", "3"), 2, 1),
        (("false", "true", "unknown"), True, 1),
        (("0.25", "0.5", "1.5"), 0.5, 1),
        (("-1", "0", "1"), -1, 0),
        (("a", "1", "b"), 2, 2),
    ],
)
def test_a_name_comes_before_a_number(names, value, number):
    data = DataSpec({**DATA.fields, "label": Field("label", size=3, names=names)})
    assert of(data=data).constant(1, {"label": value})["label"].tolist() == [number]


def test_where_names_are_numbers_others_are_refused():
    data = DataSpec({**DATA.fields, "label": Field("label", size=3, names=("1", "2", "10"))})
    with pytest.raises(ValueError, match="label=0: this run knows the classes called 1, 2, 10"):
        of(data=data).checked({"label": 0})


def test_labels_come_in_turn_by_default_and_null_is_no_value():
    assert of().varied(5, start=2)["label"].tolist() == [2, 0, 1, 2, 0]
    assert of().constant(2, {"label": None})["label"].tolist() == [0, 0]
    assert of().checked({"label": None}) == {} and of().checked({"label": 1}) == {"label": 1}


@pytest.mark.parametrize(
    "values, parts",
    [
        ({"label": 3}, ["condition.label=3", "0=Boot, 1=Sneaker, 2=Shirt"]),
        ({"label": True}, ["condition.label=True", "0=Boot"]),
        ({"label": 1.5}, ["condition.label=1.5", "0=Boot"]),
        ({"label": "Sneakr"}, ["condition.label=Sneakr", "'Sneaker'", "0=Boot"]),
        ({"colour": "red"}, ["condition.colour=red", "labelled is conditioned on label"]),
        ({"colour": "red", "label": -1}, ["condition.colour=red", "condition.label=-1"]),
    ],
)
def test_what_is_no_condition_is_refused(values, parts):
    with pytest.raises(ValueError) as refused:
        of().checked(values)
    assert all(part in str(refused.value) for part in parts)
    assert len(str(refused.value).splitlines()) == len(values)


def test_a_condition_without_a_default_must_be_given():
    with pytest.raises(ValueError, match=r"described is conditioned on factors; .*condition\.factors="):
        of(Described).varied(3)
    found = of(Described).varied(3, values={"factors": [0.5, 2]})
    assert found["factors"].tolist() == [[0.5, 2]] * 3 and found["label"].tolist() == [0, 1, 2]


def test_given_values_stand_before_the_examples_own():
    own = {"label": torch.tensor([2, 1]), "factors": torch.zeros(2, 2)}
    assert of().of_examples(2, None, own)["label"].tolist() == [2, 1]
    assert of().of_examples(2, {"label": 0}, own)["label"].tolist() == [0, 0]
    assert of().of_examples(2, None, {}) is None and of().of_examples(2, None, None) is None


def test_a_model_for_data_without_the_field_is_not_conditioned_on_it():
    model = of(data=DataSpec({"x": Field("image", (1, 2, 2))})).model
    assert model.conditions == () and model.given({}) == ()


@pytest.mark.parametrize(
    "options, parts",
    [
        ({"truncation": 0.7, "steps": 3}, []),
        ({"truncation": "low"}, ["sampling.truncation='low'"]),
        ({"steps": 2.5}, ["sampling.steps=2.5"]),
        ({"stepps": 2}, ["sampling.stepps=2", "'steps'"]),
        ({"condition": 1, "num_samples": 2}, ["sampling.condition=1", "sampling.num_samples=2"]),
    ],
)
def test_options_are_those_of_the_models_sampler(options, parts):
    if not parts:
        of().check_sampling(options)
        return
    with pytest.raises(ValueError) as refused:
        of().check_sampling(options)
    assert all(part in str(refused.value) for part in parts)


@pytest.mark.parametrize(
    "value",
    [[2, 0, 1], torch.tensor([2, 0, 1]), torch.tensor([2, 0, 1], dtype=torch.int32), np.array([2, 0, 1])],
    ids=str,
)
def test_rows_are_taken_as_lists_arrays_and_tensors(value):
    found = of().rows(3, {"label": value})["label"]
    assert found.tolist() == [2, 0, 1] and found.dtype == torch.int64
    assert of().varied(3, values={"label": value})["label"].tolist() == [2, 0, 1]


@pytest.mark.parametrize("value", [np.int64(1), torch.tensor(1), 1, "Sneaker"], ids=repr)
def test_one_value_is_that_of_all_rows(value):
    assert of().rows(3, {"label": value})["label"].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "value, part",
    [
        ([0, 1], r"shape \[2\], not \[3"),
        ([0, 1, 3], "0 to 2"),
        ([0.0, 1.0, 2.0], "whole numbers"),
        (torch.tensor([True, False, True]), "whole numbers"),
        (torch.zeros(3, 3, dtype=torch.int64), r"shape \[3, 3\]"),
    ],
    ids=str,
)
def test_rows_that_are_none_are_one_line(value, part):
    with pytest.raises(ValueError, match=rf"condition\.label=.*{part}") as refused:
        of().rows(3, {"label": value})
    assert "\n" not in str(refused.value)


def test_what_the_examples_lack_is_given_and_what_is_given_wins():
    own = {"label": torch.tensor([0, 1]), "other": torch.zeros(2)}
    assert of().of_examples(2, {}, own)["label"].tolist() == [0, 1]
    assert of().of_examples(2, {"label": 2}, own)["label"].tolist() == [2, 2]
    assert of().of_examples(2, {}, {}) is None
    assert set(of(Described).of_examples(2, {"label": 2}, {})) == {"label"}, "what is missing is for the model to say"


@pytest.mark.parametrize(
    "value, numbers",
    [
        ([1, 26, 2], [0, 2, 1]),
        (np.array([1, 26, 2]), [0, 2, 1]),
        (np.array([1.0, 26.0, 2.0]), [0, 2, 1]),
        (np.array(["1", "26", "2"]), [0, 2, 1]),
        (26, [2, 2, 2]),
        (np.int64(26), [2, 2, 2]),
        (torch.tensor([1, 2, 0]), [1, 2, 0]),
        (torch.tensor(1), [1, 1, 1]),
    ],
    ids=str,
)
def test_the_users_own_numbers_are_names_and_tensors_hold_places(value, numbers):
    data = DataSpec({**DATA.fields, "label": Field("label", size=3, names=("1", "2", "26"))})
    assert of(data=data).rows(3, {"label": value})["label"].tolist() == numbers


def test_a_list_on_the_command_line_is_taken_in_turn_where_several_are_valid():
    asked = of().checked({"label": ["Shirt", 0]}, several=True)
    assert of().in_turn(5, asked)["label"].tolist() == [2, 0, 2, 0, 2]
    assert of().in_turn(5, {"label": "Shirt"}) == {"label": "Shirt"}
    for values, several in (({"label": [0, 1]}, False), ({"label": [0, 7]}, True), ({"label": []}, True)):
        with pytest.raises(ValueError, match=r"condition\.label=\["):
            of().checked(values, several=several)
