"""Whether runs were measured on the same data, by what is on record."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from genlab.comparison.rows import SEEDS

DATA_SEED = "dataset.seed"
"""The key of what splits or draws the data."""

_PLACES = ("path", "data_dir")  # how the keys end that say where the files are


def different_data(settings: Collection[Mapping[str, Any]], found: Collection[Mapping[str, str]] = ()) -> str | None:
    """How the data of runs differ, None if they do not.

    settings: of each run, by dotted key. found: number and hash of the training examples of each, as far as they are on
    record. Files in different places are the same data if their hashes are equal. Seeds may differ between repeats;
    they split the data, so that only hashes under the same seed are compared.
    """
    names = _values("choices.dataset", settings)
    if len(names) > 1:
        return ", ".join(names)
    hashes: dict[str, set[str | None]] = defaultdict(set)
    for own, data in zip(settings, found, strict=False):
        hashes[str(own.get(DATA_SEED))].add(data.get("sha256"))
    equal = _are_equal(hashes)
    for key in dict.fromkeys(key for own in settings for key in own if key.startswith("dataset.")):
        values = _values(key, settings)
        if len(values) > 1 and key not in SEEDS and not (equal and key.endswith(_PLACES)):
            return f"{key} {', '.join(values)}"
    counts = dict.fromkeys(data["examples"] for data in found if "examples" in data)
    if len(counts) > 1:
        return f"{', '.join(counts)} training examples"
    if any(len(known - {None}) > 1 for known in hashes.values()):
        return "the same settings, other content"
    return None


def moved_keys(settings: Collection[Mapping[str, Any]], found: Collection[Mapping[str, str]]) -> set[str]:
    """The keys that say where files are, if the data of runs that differ in these alone have equal hashes."""
    keys = {key for own in settings for key in own if key.startswith("dataset.") and key.endswith(_PLACES)}
    hashes: dict[tuple, set[str | None]] = defaultdict(set)
    for own, data in zip(settings, found, strict=True):
        others = sorted((key, str(own[key])) for key in own if key.startswith("dataset.") and key not in keys)
        hashes[str(own.get("choices.dataset")), *others].add(data.get("sha256"))
    return keys if _are_equal(hashes) else set()


def _are_equal(hashes: Mapping[Any, set[str | None]]) -> bool:
    return bool(hashes) and all(len(known) == 1 and None not in known for known in hashes.values())


def _values(key: str, settings: Collection[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(str(own.get(key)) for own in settings))
