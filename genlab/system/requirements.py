"""The packages that GenLab needs, and those of its extras, as its installed metadata declares them."""

import importlib
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement

_MODULES = {
    "hydra-core": "hydra",
    "hydra-joblib-launcher": "hydra_plugins.hydra_joblib_launcher",
    "pillow": "PIL",
    "scikit-learn": "sklearn",
}
"""What is imported of a package, if it is not called as the package."""


def needed(extra: str = "") -> list[Requirement]:
    """The packages of GenLab itself, or those that an extra adds. `PackageNotFoundError` if GenLab is not installed."""
    found = [Requirement(line) for line in metadata.requires("genlab") or ()]
    return [wanted for wanted in found if _belongs(wanted, extra) and not (extra and _belongs(wanted, ""))]


def _belongs(wanted: Requirement, extra: str) -> bool:
    return wanted.marker is None or wanted.marker.evaluate({"extra": extra})


def extras() -> list[str]:
    """The names of GenLab's extras, without that of its developers."""
    return [name for name in metadata.metadata("genlab").get_all("Provides-Extra") or () if name != "dev"]


def missing(wanted: Requirement) -> str | None:
    """Why a package does not do: it is absent, or of a version that is excluded; None if it does."""
    try:
        version = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        return "is not installed"
    return None if wanted.specifier.contains(version, prereleases=True) else f"is there as {version}"


def broken(wanted: Requirement) -> Iterator[str]:
    """Why an installed package cannot be imported, if so."""
    try:
        importlib.import_module(_MODULES.get(wanted.name.lower(), wanted.name.replace("-", "_")))
    except Exception as error:  # a library that does not fit another one raises anything
        yield f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
