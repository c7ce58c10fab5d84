"""For which models the whole matrix of laws runs: one of each structure, found by what it is and not by its name.

How a step is cut, shared out, resumed or rounded is decided by the loop and by a model's structure. So the costly laws
run for one model of each structure, and a new model of a known structure runs the cheap laws alone.
"""

from lab import MODELS, RandomExamples, compose

from genlab.config.build import build_model
from genlab.config.check import locate
from genlab.config.options import read_option
from genlab.contract.model import CAPABILITIES


def structure(model: str) -> tuple[int, frozenset[str], bool]:
    """The number of players, the fields of a batch, and whether a module of the house keeps state beside its weights,
    as a pool of images does."""
    config = compose(model)
    kind = locate("model", config.model["_target_"])
    network = build_model(config, RandomExamples(kind).spec)
    own = [module for module in network.modules() if type(module).__module__.startswith("genlab.")]
    keeps_state = any(list(module.buffers(recurse=False)) for module in own)
    return len(network.players()), kind.requires, keeps_state


def find() -> list[str]:
    """Of each structure the model that can do most; of equals the one with the shortest name."""

    def rank(model: str) -> tuple[int, int, str]:
        kind = locate("model", read_option("model", model)["model"]["_target_"])
        return -sum(hasattr(kind, name) for name in CAPABILITIES), len(model), model

    found: dict[tuple, str] = {}
    for model in sorted(MODELS, key=rank):
        found.setdefault(structure(model), model)
    return sorted(found.values())


REPRESENTATIVES = find()
"""All models under `pytest --every-model`."""
