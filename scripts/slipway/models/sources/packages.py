"""Import the packages of sources that users install themselves."""

import importlib
from types import ModuleType

from slipway.core.errors import SlipwayError, explained_by
from slipway.core.package_versions import ABSENT, package_version


def imported(module: str, package: str, architecture: str) -> ModuleType:
    """Return an imported module of a package. Raise SlipwayError with the command if it is not installed."""
    with explained_by(
        lambda error: (
            f"architecture {architecture} needs {package}, which cannot be imported here ({error}); {command(package)}"
        )
    ):
        return importlib.import_module(module)


def command(package: str) -> str:
    """Return what the user has to do to install a package, as a part of a sentence."""
    return f"install it into this environment: pip install {package}"


def name_in(architecture: str) -> str:
    """Return the name after the colon, such as resnet18 of "timm:resnet18"."""
    return architecture.partition(":")[2]


def require_installed(package: str | None, architecture: str) -> None:
    """Raise SlipwayError with the command if the distribution of a source is not installed. Imports nothing."""
    if package and package_version(package) == ABSENT:
        raise SlipwayError(f"{architecture} needs {package}, which is not installed here; {command(package)}")
