"""What is written as JSON is JSON to every reader."""

import json
import math

import pytest

from genlab.system.small_files import json_text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_becomes_null_at_any_depth(value):
    text = json_text({"a": [1.5, (value, {"b": value})], "c": "NaN", "d": True})
    found = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert found == {"a": [1.5, [None, {"b": None}]], "c": "NaN", "d": True}
