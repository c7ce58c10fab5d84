"""Location of the YAML files: inside the package if installed, beside it in a checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def config_folder() -> Path:
    """The folder that Hydra reads: `genlab/configs` if installed, else `configs` of the checkout."""
    for folder in (_PACKAGE / "configs", _PACKAGE.parent / "configs"):
        if (folder / "train.yaml").is_file():
            return folder
    raise FileNotFoundError(f"no configs folder in or beside {_PACKAGE}: reinstall with `pip install .`")


def groups() -> list[str]:
    """Names of the config groups."""
    return sorted(path.name for path in config_folder().iterdir() if path.is_dir())


def group_choices() -> dict[str, list[str]]:
    """Config groups with files, and the choices of each."""
    return {group: names for group in groups() if (names := options(group))}


def options(group: str) -> list[str]:
    """Valid names for `group=NAME`."""
    return sorted(path.stem for path in (config_folder() / group).glob("*.yaml"))
