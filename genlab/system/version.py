"""GenLab's version, defined only here, and those of other packages."""

__version__ = "0.6.0"


def installed(*packages: str) -> dict[str, str | None]:
    """The versions of packages, None for those that are not installed."""
    from importlib import metadata  # not needed to answer --help

    def version(package: str) -> str | None:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            return None

    return {package: version(package) for package in packages}
