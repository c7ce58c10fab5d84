"""For which cases the whole matrix of laws runs: one of each structure, found by what it is and not by its name.

How a step is cut, shared out, resumed or rounded is decided by the loop and by a model's structure. So the costly laws
run for one model of each structure, and for one model on each kind of data that is not among these. A new model of a
known structure runs the cheap laws alone.
"""

import os
from functools import cache
from typing import NamedTuple

import lab

from genlab.config.build import build_on_meta
from genlab.config.options import class_of
from genlab.contract.model import CAPABILITIES, GenerativeModel


class Structure(NamedTuple):
    """players: their number. requires: the fields of a batch, and "pairs". conditions: those that are required or not.
    keeps_state: whether a module of the house keeps state beside its weights, as a pool of images does. kind: of the
    data."""

    players: int
    requires: frozenset[str]
    conditions: tuple[str, ...]
    keeps_state: bool
    kind: str


@cache
def structure(case: str) -> Structure:
    model, kind = lab.model_of(case), lab.kind_of(case)
    if case != model:  # players and fields are those of the model on its own kind
        return structure(model)._replace(kind=kind)
    network = whole(model)
    own = [module for module in network.modules() if type(module).__module__.startswith("genlab.")]
    keeps_state = any(module._buffers.keys() - module._non_persistent_buffers_set for module in own)
    return Structure(len(network.players()), network.requires, network.conditions, keeps_state, kind)


@cache
def whole(model: str) -> GenerativeModel:
    """The model in the sizes of its recipe, without memory for its weights."""
    config = lab.compose(model, small=False)
    return build_on_meta(config, lab.examples(config).spec)


def num_modules(model: str) -> int:
    return len(list(whole(model).modules()))


def find() -> list[str]:
    """Of each structure of images the model that can do most; of each other kind, of those with most players; of equals
    the one with the fewest modules, which is the quickest."""

    def rank(case: str) -> tuple[bool, int, int, int, int, str]:
        model = lab.model_of(case)
        found = class_of("model", model)
        able = sum(hasattr(found, name) for name in CAPABILITIES)
        of_another_kind = structure(case).kind != "image"
        return of_another_kind, -structure(case).players * of_another_kind, -able, num_modules(model), len(model), model

    found: dict[Structure, str] = {}
    for case in sorted(lab.CASES, key=rank):
        known = {one.kind for one in found}
        if structure(case) not in found and (structure(case).kind == "image" or structure(case).kind not in known):
            found[structure(case)] = case
    with_state = {one._replace(keeps_state=False) for one in found if one.keeps_state}
    return sorted(case for one, case in found.items() if one not in with_state)  # a model with state shows the rest too


def choose(cases: list[str]) -> None:
    """Let these be the representatives, in processes that begin later as well: to find them takes seconds."""
    global REPRESENTATIVE_CASES, REPRESENTATIVES
    REPRESENTATIVE_CASES, REPRESENTATIVES = cases, [case for case in cases if case in lab.MODELS]
    os.environ[_CHOSEN] = " ".join(cases)


_CHOSEN = "GENLAB_TESTED_CASES"

REPRESENTATIVE_CASES: list[str] = []
"""All cases under `pytest --every-model`."""

REPRESENTATIVES: list[str] = []
"""Those on the kind of their own dataset, which a command names by the model alone."""

choose(os.environ[_CHOSEN].split() if _CHOSEN in os.environ else find())
