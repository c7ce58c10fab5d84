"""Device setup of a run: which device, how many threads, which precision, which kernels."""

import ctypes
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from genlab.system import cores, memory
from genlab.system.files import can_write, temporary_folder

log = logging.getLogger("genlab")

MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}

_MKLDNN: Any = torch.backends.mkldnn  # torch does not annotate its settings
_OPERATIONS = (_MKLDNN.conv, _MKLDNN.matmul)

_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}

_LARGEST_HEAP_BLOCK = 2**25 - 2**14
"""Freeing one tensor of this many bytes raises glibc's dynamic mmap threshold, so that large buffers are reused instead
of being unmapped and page-faulted in again at every step."""

_LARGEST_THRESHOLD, _PADDING = 2**31 - 1, 256 * 2**20
_MALLOPT = {"M_MMAP_MAX": (-4, 0), "M_TRIM_THRESHOLD": (-1, _LARGEST_THRESHOLD), "M_TOP_PAD": (-2, _PADDING)}
"""mallopt parameters (malloc.h) and their values: never allocate by mmap, whose pages the kernel zeroes every time, and
never return the free top of the heap to the system."""


def resolve(name: str, index: int = 0) -> torch.device:
    """The device for `device.name` and `device.index`. `ValueError` if this machine does not have it."""
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


def memory_budget(device: torch.device, asked: str | None) -> int:
    """Bytes that `device.memory_budget` means on `device`."""
    there = torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else None
    return memory.budget(asked, there)


def multiplies_bf16(device: torch.device) -> bool:
    """Whether `device` has bfloat16 matrix units; without them bf16 is slower than fp32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        return any(torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16", "arm_bf16", "bf16"))
    return False


def prepare(settings: Any) -> torch.device:
    """Set threads, precision, memory and determinism of this process by a `DeviceConfig`; returns its device."""
    # Adam's moments of near-zero gradients decay into denormals, which CPUs process slowly.
    torch.set_flush_denormal(True)
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", settings.processes))
    torch.set_num_threads(settings.threads or max(1, cores.available() // processes))
    allow_reduced_precision_matmul(settings.precision == "fast-fp32")
    torch.empty(_LARGEST_HEAP_BLOCK, dtype=torch.uint8)
    if settings.keep_memory:
        _keep_memory()
    if settings.compile:
        _choose_compiler_cache()
    if settings.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS needs it for determinism
    if settings.deterministic != torch.are_deterministic_algorithms_enabled():
        torch.use_deterministic_algorithms(settings.deterministic)  # imports torch's compiler
    device = resolve(settings.name, settings.index + int(os.environ.get("LOCAL_RANK", 0)))
    if device.type == "cuda":
        torch.cuda.set_device(device)  # streams and graphs belong to the current device
    return device


@contextmanager
def restoring() -> Iterator[None]:
    """Undo, after the block, what `prepare` does to this process; only `keep_memory` lasts."""
    flushing = not (torch.tensor([1e-310], dtype=torch.float64) * 1).any()
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    tf32, precisions = (matmul.allow_tf32, cudnn.allow_tf32), [operation.fp32_precision for operation in _OPERATIONS]
    try:
        yield
    finally:
        torch.set_flush_denormal(flushing)
        torch.set_num_threads(threads)
        if deterministic != torch.are_deterministic_algorithms_enabled():
            torch.use_deterministic_algorithms(deterministic)
        matmul.allow_tf32, cudnn.allow_tf32 = tf32
        for operation, precision in zip(_OPERATIONS, precisions, strict=True):
            operation.fp32_precision = precision


def allow_reduced_precision_matmul(allowed: bool) -> None:
    """Allow TF32 (GPU) or bf16 (CPU) inputs in fp32 matmuls and convolutions; accumulation stays fp32."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed
    for operation in _OPERATIONS:
        operation.fp32_precision = "bf16" if allowed else "ieee"


@contextmanager
def computing(device: torch.device, precision: str) -> Iterator[None]:
    """Compute networks on `device` in `precision`, regardless of the settings outside the block."""
    before = _MKLDNN.matmul.fp32_precision == "bf16"
    allow_reduced_precision_matmul(precision == "fast-fp32")
    try:
        with autocast(device, precision):
            yield
    finally:
        allow_reduced_precision_matmul(before)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Autocast to the half precision that `device.precision` names; disabled for the others."""
    return torch.autocast(device.type, dtype=_AUTOCAST.get(precision), enabled=precision in _AUTOCAST)


def _choose_compiler_cache() -> None:
    """Have torch's compiler keep its code in a folder that can be written. Its own choice is named after $USER, which
    may be somebody else, and ends the run if it cannot be written."""
    own = os.environ.get("TORCHINDUCTOR_CACHE_DIR") or os.path.join(
        tempfile.gettempdir(), f"torchinductor_{os.getuid()}"
    )
    if not can_write(Path(own)):
        log.warning("device.compile: %s cannot be written; the compiled code is not kept", own)
        own = str(temporary_folder())
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = own


def _keep_memory() -> None:
    """Keep freed tensor memory in the process, if the C library is glibc."""
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        if hasattr(library, "gnu_get_libc_version"):
            for number, value in _MALLOPT.values():
                library.mallopt(number, value)
