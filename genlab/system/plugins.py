"""Installed packages that bring models, networks, datasets, metrics and configs of their own.

Such a package declares an entry point of the group `genlab.plugins`, a name for one of its modules. Its code can then
be named by `_target_`, and the files in its folder `configs/` can be chosen as GenLab's own. A package is imported only
when something of it is used, so that a broken one does not stop other work. Imports nothing slow.
"""

import importlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_GROUP = "genlab.plugins"


class Broken(ValueError):
    """The code of a plugin raises an error when it is imported."""


@dataclass(frozen=True)
class Plugin:
    """name: of the entry point. module: what it names. distribution: what `pip uninstall` takes."""

    name: str
    module: str
    distribution: str

    def __str__(self) -> str:
        return f"plugin {self.name} (package {self.distribution})"

    @property
    def package(self) -> str:
        """The package that the plugin's code is in, by its first name."""
        return self.module.partition(".")[0]

    @property
    def configs(self) -> Path | None:
        """Its folder of configs, found without importing the package; None if it has none."""
        from importlib.util import find_spec  # not needed without plugins

        spec = find_spec(self.package)
        folders = [Path(place, "configs") for place in (spec and spec.submodule_search_locations) or ()]
        return next((folder for folder in folders if folder.is_dir()), None)

    def load(self, module: str) -> Any:
        """Import a module of the package. `ModuleNotFoundError` if there is none of this name, `Broken` if its code
        fails."""
        try:
            return importlib.import_module(module)
        except Exception as error:
            if is_absent(error, module):
                raise
            reason = " ".join(str(error).split())
            raise Broken(
                f"{self} cannot be imported: {type(error).__name__}: {reason}; mend it or pip uninstall "
                f"{self.distribution}"
            ) from error


def is_absent(error: Exception, module: str) -> bool:
    """Whether an import failed because there is no such module, and not because its code failed."""
    return isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}.")


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
    """The plugin whose package holds the dotted name `target`, None if none does."""
    return next((plugin for plugin in installed() if target.startswith(f"{plugin.package}.")), None)


def brought(name: str) -> dict[str, Any]:
    """What the modules of all plugins hold in their dicts `name`. `Broken` if one cannot be imported."""
    found: dict[str, Any] = {}
    for plugin in installed():
        try:
            module = plugin.load(plugin.module)
        except ModuleNotFoundError as error:
            raise Broken(f"{plugin}: has no module {plugin.module}; pip uninstall {plugin.distribution}") from error
        for key, value in getattr(module, name, {}).items():
            if key in found:
                raise ValueError(f"{plugin}: another plugin has a {name} of the name {key!r} as well; rename one")
            found[key] = value
    return found
