"""GenLab: train, sample, inspect and measure deep generative models from the command line, or by `train` and `load`."""

import sys
from typing import Any

from genlab.system.version import __version__

__all__ = ["__version__", "load", "train"]

if sys.platform == "win32":  # which lacks the locks of run folders, and folders that can be synced to disk
    sys.exit("genlab: runs on Linux and macOS; on Windows install it inside WSL, see https://aka.ms/wsl")


def __getattr__(name: str) -> Any:
    if name == "load":  # imported when asked for: the command line must answer --help without torch
        from genlab.inference.load import load

        return load
    if name == "train":
        from genlab.commands.python import train

        return train
    raise AttributeError(f"module 'genlab' has no attribute {name!r}")
