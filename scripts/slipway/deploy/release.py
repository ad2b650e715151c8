"""A version of a model that is to be deployed: its manifests, and of each target its repository and its answers.

It is read from results/<model>/, or from a folder of that layout in which a version was kept.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

from slipway.core.artifacts import read_json, sha256
from slipway.triton.client.smoke_test import Expected

RECORD, GOLDEN = "deploy/manifests.json", "golden.npz"
# What is applied at each place, the file that names every object first, and what else belongs to it.
FILES = {
    "kubernetes": ("kubernetes.yaml",),
    "kserve": ("kserve.yaml",),
    "arena": ("arena.yaml", "arena.sh"),
    "compose": ("compose.yaml",),
}


@dataclass(frozen=True)
class Part:
    """What a candidate is on one target: its values in the manifests, its repository and index, what it must answer.

    `repository` is the folder of its model, as Triton reads it; a version that was kept may have only the labels there.
    """

    target: str
    values: dict
    repository: Path
    index: Path

    @property
    def signature(self) -> Path:
        """Return where the repository's signature lies, if it has one."""
        return self.index.with_suffix(".sig")

    @cached_property
    def said(self) -> dict:
        """Return what the index says."""
        return read_json(self.index)

    @cached_property
    def index_sha256(self) -> str:
        """Return the SHA-256 of the index."""
        return sha256(self.index)

    def expected(self, golden: Path) -> Expected:
        """Return what must be answered, with the golden input and logits of the file `golden`."""
        return Expected.of(self.said["name"], golden, self.repository / "labels.txt", self.said["accuracy_limits"])


@dataclass(frozen=True)
class Release:
    """A version of a model for one place; `record` is manifests.json, `parts` are one a target."""

    model: str
    to: str
    folder: Path
    record: dict
    parts: tuple[Part, ...]

    @classmethod
    def read(cls, folder: Path, to: str) -> "Release":
        """Return the version that lies in a folder; raise SlipwayError when its record is absent or broken."""
        record = read_json(folder / RECORD)
        parts = tuple(_part(folder, record, target) for target in _targets(record, to))
        return cls(record["model"], to, folder, record, parts)

    @property
    def files(self) -> list[Path]:
        """Return the manifests of the place, the one with the objects first."""
        return [self.folder / "deploy" / name for name in FILES[self.to]]

    @cached_property
    def objects(self) -> list[dict]:
        """Return the objects of the first manifest."""
        return list(yaml.safe_load_all(self.files[0].read_text(encoding="utf-8")))

    @cached_property
    def identity(self) -> dict:
        """Return what makes it this version: the SHA-256 of its manifests, and of each target's index."""
        return {
            "manifests": {path.name: sha256(path) for path in self.files},
            "indexes": {part.target: part.index_sha256 for part in self.parts},
        }

    @property
    def golden(self) -> Path:
        """Return the golden input and logits."""
        return self.folder / GOLDEN

    @property
    def fleet(self) -> list[dict]:
        """Return the manifests' values of each target."""
        return [part.values for part in self.parts]

    @property
    def targets(self) -> list[str]:
        """Return the targets that it is deployed for."""
        return [part.target for part in self.parts]

    @property
    def place(self) -> dict:
        """Return what of the manifests says where it goes: "namespace", and "app", its name there."""
        return {name: self.fleet[0][name] for name in ("namespace", "app")}

    def version_of(self, target: str) -> str:
        """Return which version of the repository a target has, such as v0123456789ab."""
        return next(part.values["version"] for part in self.parts if part.target == target)


def _part(folder: Path, record: dict, target: str) -> Part:
    values = {name: told["value"] for name, told in record["values"][target].items()}
    repository = folder / target / "repository" / values["served_as"]
    return Part(target, values, repository, folder / target / "repository.json")


def _targets(record: dict, to: str) -> list[str]:
    """Return the targets that are deployed: all, but on one machine the one that its composition was made for."""
    targets, here = list(record["values"]), record["key"].get("compose_target")
    if to != "compose":
        return targets
    return [here if here in targets else targets[0]]
