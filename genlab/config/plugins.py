"""The configs of plugins as Hydra reads them: after GenLab's own, none of which they may replace."""

from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

from genlab.config.paths import config_folder, plugin_folders


class PluginConfigs(SearchPathPlugin):
    """Adds the folders of configs to Hydra's search path, here and in the processes of sweeps."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for plugin, folder in plugin_folders().items():
            search_path.append(str(plugin), f"file://{folder}")


def register_plugin_configs() -> None:
    """Let Hydra find the configs of all plugins. `ValueError` if one has the name of another file."""
    taken = dict.fromkeys(_names(config_folder()), "GenLab's own")
    for plugin, folder in plugin_folders().items():
        for name in _names(folder):
            if name in taken:
                raise ValueError(
                    f"{plugin}: its configs/{name} has the name of one of {taken[name]}; rename it, or pip uninstall "
                    f"{plugin.distribution}"
                )
            taken[name] = str(plugin)
    Plugins.instance().register(PluginConfigs)


def _names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.yaml"))
