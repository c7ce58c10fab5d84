"""Provenance of a run: command line, code, packages, device, data."""

import logging
import platform
import subprocess
import sys
from pathlib import Path

import torch

from genlab.data.fingerprint import check_data, fingerprint
from genlab.data.loading import Loader
from genlab.system import plugins
from genlab.system.version import __version__, installed

_PACKAGES = ("torch", "torchvision", "hydra-core", "omegaconf", "tensorboard", "numpy", "scikit-learn")
_CODE = Path(__file__).resolve().parents[2]
_MAX_RESUMPTIONS = 100

log = logging.getLogger("genlab")


def environment(device: torch.device, train: Loader) -> dict:
    """Everything outside the config that results may depend on."""
    return {
        "command": sys.argv,
        "genlab": __version__,
        "git": _git(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": installed(*_PACKAGES, *(plugin.distribution for plugin in plugins.installed())),
        "device": name_of_device(device),
        "threads": torch.get_num_threads(),
        "data": fingerprint(train),
    }


def name_of_device(device: torch.device) -> str:
    """Its type, or of an NVIDIA GPU what it is called."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def resumed(first: dict, now: dict) -> dict:
    """The record of a run's first process, with those of the most recent resumptions.

    Warns if the environment is a different one `now`; `ValueError` if the data differ.
    """
    check_data(first, now["data"])
    before, after = (
        {key: record[key] for key in ("genlab", "python", "device")} | record["packages"] for record in (first, now)
    )
    changed = [
        f"{name} {before[name]} then, {found} now"
        for name, found in after.items()
        if name in before and before[name] != found  # a plugin installed since is none that the run began with
    ]
    record = first | {"resumed": [*first.get("resumed", []), now][-_MAX_RESUMPTIONS:]}
    if changed:
        log.warning("this run began with other versions, so it may not continue bit for bit: %s", "; ".join(changed))
    return record


def _git() -> dict | None:
    """Commit of the checkout that the code runs from, and whether it has changes; None for an installed package."""
    if not (_CODE / ".git").exists():
        return None
    command = ["git", "-C", str(_CODE), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": found.rstrip("+"), "changed": found.endswith("+")}
