"""The machine's side of a run: which device, how many threads, which kernels."""

import os

import torch

from genlab.config.schema import DeviceConfig

MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def resolve(name: str, index: int = 0) -> torch.device:
    """The device that `device.name` and `device.index` mean. `ValueError` where this machine has none."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if name == "cuda":
        count = torch.cuda.device_count()
        if index >= count:
            found = f"{count} CUDA devices" if count else "no CUDA device"
            raise ValueError(f"device=cuda with device.index={index}: this machine shows {found}; use device=cpu")
        return torch.device("cuda", index)
    if name == "mps" and not torch.backends.mps.is_available():
        raise ValueError("device=mps: this machine has no Apple GPU; use device=cpu")
    return torch.device(name)


def prepare(settings: DeviceConfig) -> torch.device:
    """Set threads and determinism for this process and return its device."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", settings.processes))
    torch.set_num_threads(settings.threads or max(1, cores // processes))
    if settings.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats only with a fixed workspace
    torch.use_deterministic_algorithms(settings.deterministic)
    local = int(os.environ.get("LOCAL_RANK", 0))
    return resolve(settings.name, settings.index + local)
