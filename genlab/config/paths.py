"""Location of the YAML files: inside the package if installed, beside it in a checkout; then those of plugins."""

from pathlib import Path

from genlab.system import plugins

_PACKAGE = Path(__file__).resolve().parent.parent


def config_folder() -> Path:
    """The folder that Hydra reads: `genlab/configs` if installed, else `configs` of the checkout."""
    for folder in (_PACKAGE / "configs", _PACKAGE.parent / "configs"):
        if (folder / "train.yaml").is_file():
            return folder
    raise FileNotFoundError(f"no configs folder in or beside {_PACKAGE}: reinstall with `pip install .`")


def plugin_folders() -> dict[plugins.Plugin, Path]:
    """The folders of configs that plugins bring."""
    return {plugin: folder for plugin in plugins.installed() if (folder := plugin.configs)}


def config_file(name: str) -> Path:
    """The file `name`, such as model/vae.yaml: GenLab's own or a plugin's. It need not exist."""
    folders = [config_folder(), *plugin_folders().values()]
    return next((folder / name for folder in folders if (folder / name).is_file()), folders[0] / name)


def groups() -> list[str]:
    """Names of the config groups."""
    return sorted(path.name for path in config_folder().iterdir() if path.is_dir())


def group_choices() -> dict[str, list[str]]:
    """Config groups with files, and the choices of each."""
    return {group: names for group in groups() if (names := options(group))}


def options(group: str) -> list[str]:
    """Valid names for `group=NAME`."""
    folders = [config_folder(), *plugin_folders().values()]
    return sorted({path.stem for folder in folders for path in (folder / group).glob("*.yaml")})
