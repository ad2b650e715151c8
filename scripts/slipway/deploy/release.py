"""A release: the models that are deployed together to one platform, with their manifests and reference outputs.

A release is read from results/<model>/ of each model, or from stored versions. A target is a kind of GPU or CPU that
config.yaml names. An index (repository.json) lists the SHA-256 of every file in a model repository.
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

    `repository` is the model's folder in Triton's layout; in a stored version it may have only labels.txt. `index` is
    the file with the SHA-256 of the repository's files, and `reference` the file with the reference outputs. `values`
    are the part's values in the manifests, {name: value}; {} on a platform without manifests.
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
        """Return the model's name on the server."""
        return self.index_content["name"]

    @property
    def version(self) -> str:
        """Return the version of the model repository: the beginning of its index's SHA-256, such as "v0123456789ab"."""
        return self.values.get("version") or version_of(self.index_sha256)

    @property
    def signature(self) -> Path:
        """Return the path of the repository's signature, which need not exist."""
        return self.index.with_suffix(".sig")

    @cached_property
    def index_content(self) -> dict:
        """Return the content of the repository's index: its files' SHA-256, the engine's build key, accuracy limits."""
        return read_json(self.index)

    @cached_property
    def index_sha256(self) -> str:
        """Return the SHA-256 of the repository's index."""
        return sha256(self.index)

    @cached_property
    def expected(self) -> Expected:
        """Return the reference request with its outputs, their accuracy limits and the labels, for the smoke test."""
        index = self.index_content
        labels = self.repository / "labels.txt"
        # The index of an earlier Slipway has no contract.
        return Expected.of(self.name, self.reference, labels, index["accuracy_limits"], index.get("contract"))

    def require_signed(self, public_key: Path | None) -> None:
        """Raise SlipwayError unless `public_key` verifies the repository's signature.

        If it is None, nothing is checked.
        """
        if public_key:
            from slipway.triton.repository.signing import verify_repository  # this import takes half a second

            verify_repository(self.repository.parent, public_key, self.signature)


@dataclass(frozen=True)
class Release:
    """The parts (one model for one target each) that are deployed together to the platform `to`.

    Only a release with manifests has `folder`, results/<model>/ or the folder of a stored version, and `record`, the
    content of manifests.json.

    `withdrawn` are the names, on the server, of the models that the release takes out of service.
    """

    to: str
    parts: tuple[Part, ...]
    folder: Path = Path()
    record: dict = field(default_factory=dict)
    withdrawn: tuple[str, ...] = ()

    @classmethod
    def read(cls, results: Sequence[Path], to: str, target: str | None = None) -> "Release":
        """Return the release that the last build left in the models' folders `results`, for the platform `to`.

        It has a part for each target in the manifests. The local server has no manifests, so its release is for
        `target`, which other platforms do not use. Raises SlipwayError if a record is missing or broken.
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
        """Return the release in `folder`, a stored version for the platform `to`.

        The folder's name is the version's number.
        """
        release = cls.read([folder], to)
        return replace(release, parts=tuple(replace(part, number=int(folder.name)) for part in release.parts))

    @property
    def model(self) -> str:
        """Return the names of all models as one text, such as "resnet50, tiny"."""
        return ", ".join(dict.fromkeys([*(part.model for part in self.parts), *self.withdrawn]))

    @property
    def versions(self) -> dict[str, int]:
        """Return {model's name on the server: number of its stored version}."""
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
        """Return {"namespace", "app": the model's name in the namespace} of the manifests; {} without manifests.

        A cluster's platform is found by these entries.
        """
        return {name: self.parts[0].values[name] for name in ("namespace", "app")} if self.record else {}

    def of_model(self, model: str) -> "Release":
        """Return the release with only the parts of the model `model`, its name in config.yaml."""
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
    """Return the targets of `record`, the content of manifests.json, that are deployed to the platform `to`.

    For a cluster, these are all targets. For Compose, it is only the target of compose.yaml; if the record does not
    name this target, the first target.
    """
    targets, here = list(record["values"]), record["key"].get("compose_target")
    if not PLATFORMS[to].on_this_machine:
        return targets
    return [here if here in targets else targets[0]]
