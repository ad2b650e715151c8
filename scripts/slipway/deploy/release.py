"""A release of a model: its manifests, and for each target its repository and its expected answers.

It is read from results/<model>/, or from a stored version, a folder with the same layout.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

from slipway.core.artifacts import read_json, sha256
from slipway.deploy.platforms import PLATFORMS
from slipway.triton.client.smoke_test import Expected

RECORD, GOLDEN = "deploy/manifests.json", "golden.npz"


@dataclass(frozen=True)
class Part:
    """A release's part for one target: its values in the manifests, its repository and index, its expected answers.

    `repository` is the model's folder in Triton's layout. In a stored version it may have only the labels.
    """

    target: str
    values: dict
    repository: Path
    index: Path

    @property
    def signature(self) -> Path:
        """Return the path of the repository's signature, which need not exist."""
        return self.index.with_suffix(".sig")

    @cached_property
    def index_content(self) -> dict:
        """Return the content of the index."""
        return read_json(self.index)

    @cached_property
    def index_sha256(self) -> str:
        """Return the SHA-256 of the index."""
        return sha256(self.index)

    def expected(self, golden: Path) -> Expected:
        """Return the expected answer, with the golden input and logits of the file `golden`."""
        return Expected.of(
            self.index_content["name"], golden, self.repository / "labels.txt", self.index_content["accuracy_limits"]
        )


@dataclass(frozen=True)
class Release:
    """A version of a model for one platform. `record` is manifests.json, `parts` has one entry for each target."""

    model: str
    to: str
    folder: Path
    record: dict
    parts: tuple[Part, ...]

    @classmethod
    def read(cls, folder: Path, to: str) -> "Release":
        """Return the release in a folder; raise SlipwayError if its record is absent or broken."""
        record = read_json(folder / RECORD)
        parts = tuple(_part(folder, record, target) for target in _targets(record, to))
        return cls(record["model"], to, folder, record, parts)

    @property
    def files(self) -> list[Path]:
        """Return the manifests of the platform, the one with the objects first."""
        return [self.folder / "deploy" / name for name in PLATFORMS[self.to].files]

    @cached_property
    def objects(self) -> list[dict]:
        """Return the objects of the first manifest."""
        return list(yaml.safe_load_all(self.files[0].read_text(encoding="utf-8")))

    @cached_property
    def identity(self) -> dict:
        """Return the identity of this version: the SHA-256 of its manifests, and of each target's index."""
        return {
            "manifests": {path.name: sha256(path) for path in self.files},
            "indexes": {part.target: part.index_sha256 for part in self.parts},
        }

    @property
    def golden(self) -> Path:
        """Return the path of the golden input and logits."""
        return self.folder / GOLDEN

    @property
    def fleet(self) -> list[dict]:
        """Return the values of each target in the manifests."""
        return [part.values for part in self.parts]

    @property
    def targets(self) -> list[str]:
        """Return the names of the targets."""
        return [part.target for part in self.parts]

    @property
    def place(self) -> dict:
        """Return {"namespace", "app": the model's name there}, from the manifests."""
        return {name: self.fleet[0][name] for name in ("namespace", "app")}

    def version_of(self, target: str) -> str:
        """Return the version of a target's repository, such as v0123456789ab."""
        return next(part.values["version"] for part in self.parts if part.target == target)


def _part(folder: Path, record: dict, target: str) -> Part:
    values = {name: entry["value"] for name, entry in record["values"][target].items()}
    repository = folder / target / "repository" / values["served_as"]
    return Part(target, values, repository, folder / target / "repository.json")


def _targets(record: dict, to: str) -> list[str]:
    """Return the targets to deploy: all, but for Compose only the target of its composition."""
    targets, here = list(record["values"]), record["key"].get("compose_target")
    if not PLATFORMS[to].on_this_machine:
        return targets
    return [here if here in targets else targets[0]]
