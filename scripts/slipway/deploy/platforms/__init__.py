"""The deployment platforms by their name in `deploy.to`. Each module here states one of them."""

from pathlib import Path

from slipway.core.traits import read_traits
from slipway.deploy.platforms.traits import PlatformTraits

FOLDER = Path(__file__).parent
OTHERS = ("__init__", "traits")  # modules here that state no platform

PLATFORMS: dict[str, PlatformTraits] = {
    path.stem: read_traits(path, path.stem) for path in sorted(FOLDER.glob("*.py")) if path.stem not in OTHERS
}


def traits_file(name: str) -> Path:
    """Return the file that states a platform's traits."""
    return FOLDER / f"{name}.py"


def manifest_files() -> list[str]:
    """Return the names of every platform's manifests."""
    return [file for traits in PLATFORMS.values() for file in traits.files]
