"""The configs of plugins as Hydra reads them: after GenLab's own, none of which they may replace."""

import sys

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

from genlab.config.paths import plugin_folders, refused_folders


class PluginConfigs(SearchPathPlugin):
    """Adds the folders of configs to Hydra's search path, here and in the processes of sweeps."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for plugin, folder in plugin_folders().items():
            search_path.append(str(plugin), f"file://{folder}")


def register_plugin_configs() -> None:
    """Let Hydra find the configs of all plugins."""
    Plugins.instance().register(PluginConfigs)


def warn_of_refused_configs() -> None:
    """A line on standard error for each plugin whose configs are left out, as one has the name of another file."""
    for reason in refused_folders().values():
        print(f"genlab: {reason}", file=sys.stderr)
