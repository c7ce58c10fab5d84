"""`genlab doctor`: the installation, the machine and the folders, and what is wrong with them.

Must work where anything is broken: what it looks at is imported section by section, and a section that fails is a
problem of its own.
"""

import importlib
import os
import platform
import shutil
import textwrap
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from genlab.config.commands import DoctorConfig
from genlab.system import cores, memory, plugins
from genlab.system.text import printable, size_in_words
from genlab.system.version import __version__

Lines = Iterator[tuple[str, str]]
"""Label and text; what is labelled a problem is told at the end."""

_PROBLEM = "problem"
_LEAST_FREE = 2**28
"""Bytes that a run may need at the least."""

_load: Callable[[str], Any] = importlib.import_module


def main(asked: DoctorConfig | None) -> int:
    """Print everything; returns 1 if there is a problem. asked: None where no command line can be read."""
    problems = []
    for section in (_versions, _packages, _device, _data, _folders, _extras, _plugins):
        try:
            for label, text in section(asked or DoctorConfig()):
                if label == _PROBLEM:
                    problems.append(text)
                else:
                    _say(label, text)
        except Exception as error:  # of whatever is broken
            reason = " ".join(str(error).split()) or "no reason given"
            problems.append(f"{section.__name__.strip('_')} cannot be checked: {type(error).__name__}: {reason}")
    for text in problems:
        print(f"{_PROBLEM:<10} {printable(text)}")
    if not problems:
        _say("problems", "none")
    return 1 if problems else 0


def _say(label: str, text: str) -> None:
    indent = 11 * " "
    print(
        textwrap.fill(
            printable(text),
            80,
            initial_indent=f"{label:<10} ",
            subsequent_indent=indent,
            break_on_hyphens=False,
            break_long_words=False,
        ),
        flush=True,
    )


def _versions(asked: DoctorConfig) -> Lines:
    yield "genlab", f"{__version__} in {Path(__file__).parents[1]}"
    yield "python", f"{platform.python_version()}, {platform.platform()}"


def _packages(asked: DoctorConfig) -> Lines:
    """The packages that GenLab needs: versions, and whether they can be imported."""
    requirements = _load("genlab.system.requirements")
    try:
        needed = requirements.needed()
    except metadata.PackageNotFoundError:
        yield _PROBLEM, "genlab is not installed, so that its packages are not known: pip install . in its folder"
        return
    found = []
    for wanted in needed:
        name, command = wanted.name, f"pip install '{wanted.name}{wanted.specifier}'"
        if reason := requirements.missing(wanted):
            yield _PROBLEM, f"package {name} {reason}, and GenLab needs {wanted.specifier}: {command}"
            continue
        found.append(f"{name} {metadata.version(name)}")
        for reason in requirements.broken(wanted):
            again = f"pip install --force-reinstall {name}=={metadata.version(name)}"
            yield _PROBLEM, f"package {name} cannot be imported ({reason}); {again}, or versions that fit together"
    yield "packages", ", ".join(found)


def _device(asked: DoctorConfig) -> Lines:
    torch, system = _load("torch"), _load("genlab.system.device")
    device = system.resolve("auto")
    gpus = range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    for gpu in map(torch.cuda.get_device_properties, gpus):
        yield "gpu", f"{gpu.name}, {size_in_words(gpu.total_memory)}"
    yield "device", f"device=auto takes {device.type}"
    try:
        torch.ones(2, device=device).sum().item()
    except RuntimeError as error:  # as of a GPU that this torch was not built for
        yield _PROBLEM, f"device={device.type} does not compute ({str(error).splitlines()[0]}); use device=cpu"
    if not gpus and os.path.exists("/dev/nvidiactl"):
        why = "its driver is too old" if torch.version.cuda else "it was built without CUDA"
        yield _PROBLEM, f"an NVIDIA GPU is there that torch cannot use ({why}); install torch as pytorch.org says"
    yield "threads", f"{cores.available()} (physical cores of this process; {os.cpu_count()} logical ones in all)"
    fast = system.multiplies_bf16(device)
    yield "bf16", "fast here; recipes that allow it train in it" if fast else "slower than fp32 here; recipes avoid it"
    yield "memory", size_in_words(memory.total())


def _data(asked: DoctorConfig) -> Lines:
    """The published datasets that are found in the data folder, or in the cache, and the others."""
    options, build = _load("genlab.config.options"), _load("genlab.config.build")
    published, cache = _load("genlab.data.published"), _load("genlab.data.cache")
    folder = Path(asked.data_dir).expanduser()
    if folder.exists() and not folder.is_dir():
        yield _PROBLEM, f"data_dir={asked.data_dir}: is not a folder; set GENLAB_DATA or data_dir to one"
        return
    places = [place for place in (folder, cache.cache_dir()) if place]
    found: dict[bool, list[str]] = {True: [], False: []}
    for name in _load("genlab.config.paths").options("dataset"):
        try:
            kind = options.class_of("dataset", name)
            if not hasattr(kind, "lies_in"):
                continue
            source = build.build_source(options.dataset_defaults(name, data_dir=str(folder)))
            there, fetched = any(map(source.lies_in, places)), issubclass(kind, published.PublishedSet)
            there = there or (fetched and all((folder / part.place).is_file() for part in source.archives()))
            if there or fetched:
                found[there].append(name)
        except plugins.Broken:  # told with the plugins
            continue
    yield "data_dir", f"{folder}" + ("" if folder.is_dir() else " (does not exist yet)")
    yield "datasets", f"{', '.join(found[True]) or 'none'} found; downloaded when used: {', '.join(found[False])}"


def _folders(asked: DoctorConfig) -> Lines:
    """The cache, and the folder of the runs: sizes, and whether they can be written."""
    files, folder = _load("genlab.system.files"), _load("genlab.data.cache").cache_dir()
    if folder is None:
        yield "cache", "none (GENLAB_CACHE)"
    else:
        used = sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
        refused = "; cannot be written: set GENLAB_CACHE to another folder" if files.not_writable(folder) else ""
        yield "cache", f"{folder}, {size_in_words(used)}{refused}"
    output = Path(asked.output_dir).expanduser()
    if refused := files.not_writable(output):
        yield _PROBLEM, f"output_dir={output}: cannot write in {refused}; choose another, as in output_dir=/tmp/outputs"
        return
    free = shutil.disk_usage(files.existing(output)).free
    yield "output_dir", f"{output}, can be written; {size_in_words(free)} free"
    if free < _LEAST_FREE:
        yield _PROBLEM, f"output_dir={output}: its disk has {size_in_words(free)} left; free some, or choose another"


def _extras(asked: DoctorConfig) -> Lines:
    """Which extras are installed, and the command that installs each of the others."""
    requirements = _load("genlab.system.requirements")
    there, absent = [], []
    for extra in requirements.extras():
        lacking = [wanted.name for wanted in requirements.needed(extra) if requirements.missing(wanted)]
        if lacking:
            absent.append(f"pip install 'genlab[{extra}]' (for {', '.join(lacking)})")
        else:
            there.append(extra)
    yield "extras", ", ".join(there) or "none"
    for line in absent:
        yield "  missing", line


def _plugins(asked: DoctorConfig) -> Lines:
    refused = _load("genlab.config.paths").refused_folders()
    for plugin in plugins.installed():
        yield "plugin", f"{plugin.name}: package {plugin.distribution} {metadata.version(plugin.distribution)}"
        if plugin.configs in refused:
            yield _PROBLEM, refused[plugin.configs]
        try:
            plugin.load(plugin.module)
        except ModuleNotFoundError:
            yield _PROBLEM, f"{plugin}: has no module {plugin.module}; pip uninstall {plugin.distribution}"
        except plugins.Broken as error:
            yield _PROBLEM, str(error)
