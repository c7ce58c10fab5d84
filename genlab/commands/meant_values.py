"""What a user meant by a mistaken value: other spellings of choices and metrics, paths that hold a comma."""

import os
import re

from genlab.commands.lines import quoted
from genlab.commands.other_names import data_at, metric_called, same
from genlab.config.paths import groups, options
from genlab.contract.limits import limits_of


def meant_value(key: str, value: str, schema: type, reasons: list[str]) -> list[str]:
    """The value of a key of `schema` with the names that there are, and the further settings that it means; what was
    wrong goes to `reasons`."""
    if any(sign in value for sign in "\"'(${"):
        return [value]
    there = os.path.exists(os.path.expanduser(value))
    if "," in value and there and key not in groups():
        reasons.append("a comma separates values; a path that holds one is quoted")
        return [quoted(value)]
    words = [word.strip() for word in value.strip("[]").split(",")]
    if key in ("metrics", "evaluation.metrics"):
        return [_metrics(value, words, reasons)]
    choices = options(key) if key in groups() else list(limits_of(schema, key).choices)
    if not choices or value.startswith("[") or set(words) <= {*choices, "null"}:
        return [value]
    if key == "device" and (match := re.fullmatch(r"(?:cuda|gpu)?:?(\d+)", value, re.IGNORECASE)):
        reasons.append("a GPU is chosen by its index")
        return ["cuda", f"device.index={match[1]}"]
    if key == "dataset" and there:
        reasons.append("is no dataset's name, but where data are")
        first, path = data_at(value)
        return [first.partition("=")[2], path]
    found = [word if word in choices else same(word, choices) or word for word in words]
    if found != words:
        meant = ", ".join(map(repr, found))
        known = f"there are: {', '.join(choices)}" if len(choices) < 6 else f"did you mean {meant}?"
        reasons.append(f"no such {key}; {known}")
    return [",".join(found)]


def _metrics(value: str, words: list[str], reasons: list[str]) -> str:
    if [word.lower() for word in words] == ["all"]:
        reasons.append("all that apply are measured where none is named")
        return "null"
    found = list(dict.fromkeys(map(metric_called, words)))
    if found == words:
        return value
    reasons.append(f"the metrics are called {', '.join(found)} here")
    return f"[{','.join(found)}]"
