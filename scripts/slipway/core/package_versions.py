"""Find the version of a package that is installed for this interpreter."""

from functools import cache
from importlib import metadata

ABSENT = "absent"


@cache
def package_version(package: str) -> str:
    """Return the version of a package that is installed for this interpreter, or "absent"."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ABSENT
