"""The versions of models that the local server may serve, each whole, and which one of them it serves.

<store>/models/<name>/<version>/      engine and adapter, as Triton reads them, one folder a version
<store>/models/<name>/config.pbtxt    and configs/, labels.txt: those of the version that is selected
<store>/published/<name>/<version>/   the same files of that version, its index and its golden logits
<store>/published/live.json           which versions were live together
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from slipway.artifacts import read_json, sha256, tree_digest, write_json, written_whole
from slipway.errors import SlipwayError
from slipway.triton.history import History
from slipway.triton.modelconfig import read_config, write_config
from slipway.triton.repository import VERSION
from slipway.triton.server import PYTHON_CONFIGURATION
from slipway.triton.smoke_test import Expected

CONFIGURATIONS = ("config.pbtxt", f"configs/{PYTHON_CONFIGURATION}.pbtxt")
LABELS, INDEX, GOLDEN = "labels.txt", "index.json", "golden.npz"


@dataclass(frozen=True)
class Published:
    """One version of a model in the store: its number, its index with that file's SHA-256, and what it must answer."""

    number: int
    index: dict
    index_sha256: str
    expected: Expected

    @property
    def name(self) -> str:
        """Return the name that clients use."""
        return self.index["name"]


class Store:
    """A Triton model repository in which new versions are put beside the old ones."""

    def __init__(self, folder: Path) -> None:
        self.models = folder / "models"
        self._published = folder / "published"
        self.history = History(self._published / "live.json")

    def publish(self, folder: Path, index: dict, golden: Path) -> Published:
        """Copy the model folder of `index` in as a new version, and check every file that arrived.

        What is there already is not copied again. Nothing that is served changes. Raises SlipwayError when a copied
        file is not the one of the index.
        """
        name = index["name"]
        for number in reversed(self.versions(name)):
            if read_json(self._published / name / str(number) / INDEX) == index and self._is_whole(number, index):
                return self.published(name, number)
        number = max(self.versions(name), default=0) + 1
        with written_whole(self.models / name / str(number)) as partial:
            shutil.copytree(folder / VERSION, partial)
            if tree_digest(partial) != _of_version(index):
                raise SlipwayError(
                    f"the copy of {folder} in {self.models / name} is not what was written: the disk is full, or "
                    "somebody edits it; nothing that is served was changed"
                )
        with written_whole(self._published / name / str(number)) as partial:
            for file in (*CONFIGURATIONS, LABELS):
                (partial / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / file, partial / file)
            shutil.copyfile(golden, partial / GOLDEN)
            write_json(partial / INDEX, index)
        return self.published(name, number)

    def select(self, name: str, number: int) -> None:
        """Make a version the one that Triton takes when it next loads the model."""
        for file in CONFIGURATIONS:
            config = read_config(self._published / name / str(number) / file)
            config.version_policy.specific.versions.append(number)
            with written_whole(self.models / name / file) as partial:
                write_config(partial, config)
        with written_whole(self.models / name / LABELS) as partial:
            shutil.copyfile(self._published / name / str(number) / LABELS, partial)

    def selected(self, name: str) -> int | None:
        """Return the version that Triton takes when it next loads the model; None before the first."""
        path = self.models / name / CONFIGURATIONS[0]
        return read_config(path).version_policy.specific.versions[0] if path.is_file() else None

    def versions(self, name: str) -> list[int]:
        """Return the versions of a model that are there whole, ascending."""
        folders = (self._published / name).glob("[0-9]*")
        return sorted(int(folder.name) for folder in folders if (self.models / name / folder.name).is_dir())

    def published(self, name: str, number: int) -> Published:
        """Return a version that is there."""
        folder = self._published / name / str(number)
        index = read_json(folder / INDEX)
        expected = Expected.of(name, folder / GOLDEN, folder / LABELS, index["accuracy_limits"])
        return Published(number, index, sha256(folder / INDEX), expected)

    def prune(self, name: str, keep: int) -> None:
        """Remove every version of a model but the `keep` that were live last."""
        kept = self.history.last_of(name, keep)
        self.history.forget_all_but(name, kept)
        for number in set(self.versions(name)) - set(kept):
            shutil.rmtree(self._published / name / str(number))
            shutil.rmtree(self.models / name / str(number))

    def _is_whole(self, number: int, index: dict) -> bool:
        return tree_digest(self.models / index["name"] / str(number)) == _of_version(index)


def _of_version(index: dict) -> dict[str, str]:
    """Return {file below the version's folder: SHA-256} of an index."""
    below = f"{VERSION}/"
    return {name.removeprefix(below): digest for name, digest in index["files"].items() if name.startswith(below)}
