"""Where the YAML files lie: inside the wheel, or beside the package in a checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def config_folder() -> Path:
    """The folder that Hydra reads: `genlab/configs` when installed, `configs` of the checkout otherwise."""
    for folder in (_PACKAGE / "configs", _PACKAGE.parent / "configs"):
        if (folder / "train.yaml").is_file():
            return folder
    raise FileNotFoundError(f"no configs folder in or beside {_PACKAGE}: reinstall with `pip install .`")


def code_folder() -> Path:
    """The folder that holds the package, a git checkout where GenLab was installed from one in place."""
    return _PACKAGE.parent


def groups() -> list[str]:
    """Names of the config groups."""
    return sorted(path.name for path in config_folder().iterdir() if path.is_dir())


def group_choices() -> dict[str, list[str]]:
    """Config groups that have files, each with its choices."""
    return {group: names for group in groups() if (names := options(group))}


def options(group: str) -> list[str]:
    """Names that `group=NAME` takes."""
    return sorted(path.stem for path in (config_folder() / group).glob("*.yaml"))
