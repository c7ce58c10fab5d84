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
    """The folders of configs that plugins bring, without those that have a name which is taken."""
    return _accepted_and_refused()[0]


def refused_folders() -> dict[Path, str]:
    """The folders of plugins that are left out, as one of their files has a name which is taken; and which."""
    return _accepted_and_refused()[1]


def _accepted_and_refused() -> tuple[dict[plugins.Plugin, Path], dict[Path, str]]:
    accepted: dict[plugins.Plugin, Path] = {}
    refused: dict[Path, str] = {}
    for plugin in plugins.installed():
        if (folder := plugin.configs) is None:
            continue
        owners = {config_folder(): "GenLab's own"} | {other: str(owner) for owner, other in accepted.items()}
        names = sorted(path.relative_to(folder) for path in folder.rglob("*.yaml"))
        taken = ((name, owners[owner]) for name in names for owner in owners if (owner / name).is_file())
        if clash := next(taken, None):
            refused[folder] = (
                f"{plugin}: all its configs are left out, as its configs/{clash[0]} has the name of one of {clash[1]}; "
                f"rename it, or pip uninstall {plugin.distribution}"
            )
        else:
            accepted[plugin] = folder
    return accepted, refused


def config_file(name: str) -> Path:
    """The file `name`, such as model/vae.yaml: GenLab's own or a plugin's. It need not exist."""
    folders = [config_folder(), *plugin_folders().values()]
    return next((folder / name for folder in folders if (folder / name).is_file()), folders[0] / name)


def owner_of(file: Path) -> plugins.Plugin | None:
    """The plugin that brings a config file; None if it is GenLab's own."""
    return next((plugin for plugin, folder in plugin_folders().items() if file.is_relative_to(folder)), None)


def groups() -> list[str]:
    """Names of the config groups. `callbacks` has files of plugins alone."""
    return sorted({"callbacks", *(path.name for path in config_folder().iterdir() if path.is_dir())})


def group_choices() -> dict[str, list[str]]:
    """Config groups with files, and the choices of each."""
    return {group: names for group in groups() if (names := options(group))}


def options(group: str) -> list[str]:
    """Valid names for `group=NAME`."""
    folders = [config_folder(), *plugin_folders().values()]
    return sorted({path.stem for folder in folders for path in (folder / group).glob("*.yaml")})
