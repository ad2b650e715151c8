"""A release: the models that are deployed together to one platform, with their manifests and reference outputs.

A release is read from results/<model>/ of each model, or from stored versions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import yaml

from slipway.core.artifacts import read_json, sha256
from slipway.core.errors import SlipwayError
from slipway.core.records import require_record
from slipway.deploy.platforms import PLATFORMS
from slipway.triton.client.smoke_test import Expected
from slipway.triton.repository.versions import INDEX, version_of

# The reason in a receipt why Slipway did not publish a repository.
HERE = "served from this machine's disk"
RECORD, REFERENCE = "deploy/manifests.json", "reference_outputs.npz"


@dataclass(frozen=True)
class Part:
    """A part of a release: one model for one target. `number` is the stored version, 0 for a part that is not stored.

    `repository` is the model's folder in Triton's layout; in a stored version it may have only labels.txt. `values` are
    the part's values in the manifests.
    """

    model: str
    target: str
    repository: Path
    index: Path
    reference: Path
    values: dict = field(default_factory=dict)
    number: int = 0

    @property
    def name(self) -> str:
        """Return the model's name for clients."""
        return self.index_content["name"]

    @property
    def version(self) -> str:
        """Return the version of the repository, such as v0123456789ab."""
        return self.values.get("version") or version_of(self.index_sha256)

    @property
    def signature(self) -> Path:
        """Return the path of the repository's signature, which need not exist."""
        return self.index.with_suffix(".sig")

    @cached_property
    def index_content(self) -> dict:
        """Return the content of the repository's index."""
        return read_json(self.index)

    @cached_property
    def index_sha256(self) -> str:
        """Return the SHA-256 of the repository's index."""
        return sha256(self.index)

    @cached_property
    def expected(self) -> Expected:
        """Return the reference outputs, their accuracy limits and the labels."""
        index = self.index_content
        labels = self.repository / "labels.txt"
        # The index of an earlier Slipway has no contract.
        return Expected.of(self.name, self.reference, labels, index["accuracy_limits"], index.get("contract"))

    def require_signed(self, public_key: Path | None) -> None:
        """If there is a public key, raise SlipwayError unless the key verifies the repository's signature."""
        if public_key:
            from slipway.triton.repository.signing import verify_repository  # this import takes half a second

            verify_repository(self.repository.parent, public_key, self.signature)


@dataclass(frozen=True)
class Release:
    """Parts that are deployed together to the platform `to`.

    Only a release with manifests has `folder`, results/<model>/ or the folder of a stored version, and `record`, the
    content of manifests.json.

    `withdrawn` are the names, for clients, of the models that the release takes out of service.
    """

    to: str
    parts: tuple[Part, ...]
    folder: Path = Path()
    record: dict = field(default_factory=dict)
    withdrawn: tuple[str, ...] = ()

    @classmethod
    def read(cls, results: Sequence[Path], to: str, target: str | None = None) -> "Release":
        """Return the release in the models' folders `results`, for each target in the manifests.

        For the local server, which has no manifests, the release is for `target`. Raises SlipwayError if a record is
        missing or broken.
        """
        if not PLATFORMS[to].files:
            if target is None:
                raise SlipwayError("--target is missing: name the target whose repositories this machine serves")
            return cls(to, tuple(_part_on_disk(folder, target) for folder in results))
        (folder,) = results
        record = read_json(folder / RECORD)
        return cls(to, tuple(_part(folder, record, name) for name in _targets(record, to)), folder, record)

    @classmethod
    def stored(cls, folder: Path, to: str) -> "Release":
        """Return the release in the folder of a stored version. The folder's name is the number of the version."""
        release = cls.read([folder], to)
        return replace(release, parts=tuple(replace(part, number=int(folder.name)) for part in release.parts))

    @property
    def model(self) -> str:
        """Return the names of all models as one text, such as "resnet50, tiny"."""
        return ", ".join(dict.fromkeys([*(part.model for part in self.parts), *self.withdrawn]))

    @property
    def versions(self) -> dict[str, int]:
        """Return {name of a model for clients: number of its stored version}."""
        return {part.name: part.number for part in self.parts}

    @property
    def files(self) -> list[Path]:
        """Return the paths of the platform's manifests. The first manifest has the objects that `objects` returns."""
        return [self.folder / "deploy" / name for name in PLATFORMS[self.to].files]

    @cached_property
    def objects(self) -> list[dict]:
        """Return the objects in the first manifest, such as a Deployment and a Service."""
        return list(yaml.safe_load_all(self.files[0].read_text(encoding="utf-8")))

    @property
    def place(self) -> dict:
        """Return {"namespace", "app": the model's name in the namespace}, from the manifests; {} without manifests."""
        return {name: self.parts[0].values[name] for name in ("namespace", "app")} if self.record else {}

    def of_model(self, model: str) -> "Release":
        """Return the parts of one model, as a release."""
        return replace(self, parts=tuple(part for part in self.parts if part.model == model))


def _part(folder: Path, record: dict, target: str) -> Part:
    values = {name: entry["value"] for name, entry in record["values"][target].items()}
    repository = folder / target / "repository" / values["served_as"]
    return Part(record["model"], target, repository, folder / target / "repository.json", folder / REFERENCE, values)


def _part_on_disk(folder: Path, target: str) -> Part:
    index = folder / target / "repository.json"
    name = require_record(index, INDEX, "remove it and run again")["name"]
    return Part(folder.name, target, folder / target / "repository" / name, index, folder / REFERENCE)


def _targets(record: dict, to: str) -> list[str]:
    """Return the targets to deploy. For a cluster, these are all targets in the `record` of the manifests.

    For Compose, it is only the target of compose.yaml; if the record does not name this target, the first target.
    """
    targets, here = list(record["values"]), record["key"].get("compose_target")
    if not PLATFORMS[to].on_this_machine:
        return targets
    return [here if here in targets else targets[0]]
