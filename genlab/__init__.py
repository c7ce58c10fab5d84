"""GenLab: train, sample, inspect and measure deep generative models from the command line, or from Python by `load`."""

from typing import Any

from genlab.system.version import __version__

__all__ = ["__version__", "load"]


def __getattr__(name: str) -> Any:
    if name == "load":  # imported when asked for: the command line must answer --help without torch
        from genlab.inference.load import load

        return load
    raise AttributeError(f"module 'genlab' has no attribute {name!r}")
