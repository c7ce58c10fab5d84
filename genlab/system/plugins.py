"""Installed packages that bring models, networks, datasets, metrics and configs of their own.

Such a package declares an entry point of the group `genlab.plugins`, a name for one of its modules. The code of the
package that this module is in can then be named by `_target_`, and the files in its folder `configs/` can be chosen as
GenLab's own. A package is imported only when something of it is used, so that a broken one does not stop other work.
Imports nothing slow.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

_GROUP = "genlab.plugins"


class Broken(ValueError):
    """The code of a plugin raises an error when it is imported, or one of its configs cannot be used."""


@dataclass(frozen=True)
class Plugin:
    """name: of the entry point. module: what it names. distribution: what `pip uninstall` takes."""

    name: str
    module: str
    distribution: str

    def __str__(self) -> str:
        return f"plugin {self.name} (package {self.distribution})"

    @property
    def home(self) -> str:
        """What may be named by `_target_`, with all below it: the package that the module is in, or the module alone if
        it is in none, or in a namespace, which other distributions may add to."""
        package = self.module.rpartition(".")[0]
        spec = _spec(package) if package else None
        return package if spec and spec.origin else self.module  # a namespace has no file of its own

    @property
    def configs(self) -> Path | None:
        """Its folder of configs, found without importing the package; None if it has none."""
        spec = _spec(self.home)
        folders = [Path(place, "configs") for place in (spec and spec.submodule_search_locations) or ()]
        return next((folder for folder in folders if folder.is_dir()), None)

    def load(self, module: str) -> Any:
        """Import a module of the package. `ModuleNotFoundError` if there is none of this name, `Broken` if its code
        fails."""
        try:
            return importlib.import_module(module)
        except (Exception, SystemExit) as error:  # a script without a guard may call sys.exit
            if is_absent(error, module):
                raise
            raise self.broken("cannot be imported", error) from error

    def broken(self, what: str, error: BaseException) -> Broken:
        """The error to raise instead of `error`, in one line. what: failed."""
        reason = " ".join(str(error).split())
        return Broken(f"{self} {what}: {type(error).__name__}: {reason}; mend it or pip uninstall {self.distribution}")


def is_absent(error: BaseException, module: str) -> bool:
    """Whether an import failed because there is no such module, and not because its code failed."""
    return isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}.")


def _spec(module: str) -> ModuleSpec | None:
    """Where a module is, None if there is none. Unlike importlib's `find_spec`, imports no package above it."""
    above = module.rpartition(".")[0]
    inside = _spec(above) if above else None
    if above and (inside is None or inside.submodule_search_locations is None):
        return None
    places = inside.submodule_search_locations if inside else None
    found = (finder.find_spec(module, places) for finder in sys.meta_path)
    return next((spec for spec in found if spec), None)


@cache
def installed() -> tuple[Plugin, ...]:
    """The plugins of this environment, by name."""
    from importlib.metadata import entry_points  # takes 20 ms, and not every command needs it

    found = {
        Plugin(entry.name, entry.value.partition(":")[0], entry.dist.name if entry.dist else entry.name)
        for entry in entry_points(group=_GROUP)
    }
    return tuple(sorted(found, key=lambda plugin: (plugin.name, plugin.distribution)))


def plugin_of(target: str) -> Plugin | None:
    """The plugin whose code the dotted name `target` is, None if it is none's."""
    return next((plugin for plugin in installed() if target.startswith(f"{plugin.home}.")), None)


def brought(name: str) -> Iterator[tuple[Plugin, dict[str, Any] | Broken]]:
    """What the module of each plugin holds in its dict `name`, or why it cannot be imported."""
    for plugin in installed():
        try:
            found = getattr(plugin.load(plugin.module), name, {})
            yield plugin, found if isinstance(found, dict) else Broken(f"{plugin}: its {name} must be a dict")
        except ModuleNotFoundError:
            yield plugin, Broken(f"{plugin}: has no module {plugin.module}; pip uninstall {plugin.distribution}")
        except Broken as error:
            yield plugin, error


@contextmanager
def blamed(plugin: Plugin | None, what: str) -> Iterator[None]:
    """Inside the block, an error of a plugin's code or config is raised as `Broken`, with its name and `what` failed.
    A `ValueError` is meant for the user and stays."""
    try:
        yield
    except ValueError:
        raise
    except (Exception, SystemExit) as error:
        if plugin is None:
            raise
        raise plugin.broken(what, error) from error
