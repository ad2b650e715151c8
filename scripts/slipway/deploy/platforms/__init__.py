"""The deployment platforms, {name in `deploy.to`: traits}. Each JSON file in this folder states one platform."""

from pathlib import Path

from slipway.core.traits import read_traits
from slipway.deploy.platforms.traits import PlatformTraits

FOLDER = Path(__file__).parent
PLATFORMS: dict[str, PlatformTraits] = {
    path.stem: read_traits(path, path.stem, PlatformTraits) for path in sorted(FOLDER.glob("*.json"))
}


def traits_file(name: str) -> Path:
    """Return the path of the JSON file with the traits of the platform `name`, such as "kubernetes"."""
    return FOLDER / f"{name}.json"


def manifest_files() -> list[str]:
    """Return the file names of all platforms' manifests, such as "kubernetes.yaml"."""
    return [file for traits in PLATFORMS.values() for file in traits.files]
