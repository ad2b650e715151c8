"""The version of an installed package in the environment of this interpreter."""

from functools import cache
from importlib import metadata

ABSENT = "absent"


@cache
def package_version(package: str) -> str:
    """Return the installed version of a package, or "absent". Packages may be absent where their jobs do not run."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ABSENT
