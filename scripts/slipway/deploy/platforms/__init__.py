"""The deployment platforms by their name in `deploy.to`. Each JSON file here states one of them."""

from pathlib import Path

from slipway.core.traits import read_traits
from slipway.deploy.platforms.traits import PlatformTraits

FOLDER = Path(__file__).parent
PLATFORMS: dict[str, PlatformTraits] = {
    path.stem: read_traits(path, path.stem, PlatformTraits) for path in sorted(FOLDER.glob("*.json"))
}


def traits_file(name: str) -> Path:
    """Return the file that states a platform's traits."""
    return FOLDER / f"{name}.json"


def manifest_files() -> list[str]:
    """Return the names of every platform's manifests."""
    return [file for traits in PLATFORMS.values() for file in traits.files]
