"""The facts behind a deployment: the artifacts of each target, and the source file and key of every value.

A target is a kind of GPU or CPU that config.yaml names.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from slipway.core.artifacts import read_json, sha256
from slipway.core.errors import SlipwayError
from slipway.load_test.goals import configuration
from slipway.load_test.limits import configuration_in_words
from slipway.runtimes import RUNTIMES

CONFIG = "config.yaml"


# The values of one target in manifests, {name: value}, without their sources.
TargetValues = dict[str, Any]


@dataclass(frozen=True)
class Value:
    """A value of a manifest with its origin, so that manifests.json can state it.

    The value comes from `key` in the file `source`; `how` describes the derivation in words.
    """

    value: Any
    source: str
    key: str
    how: str = ""


@dataclass(frozen=True)
class Artifact:
    """A JSON file that the build wrote: its path, its SHA-256 and its content."""

    path: str
    sha256: str
    content: dict

    @classmethod
    def read(cls, path: Path) -> "Artifact":
        """Return the artifact at `path`; raise SlipwayError if the file is missing or broken."""
        return cls(path.as_posix(), content=read_json(path), sha256=sha256(path))

    def value(self, *keys: str) -> Value:
        """Return the entry of the artifact under the nested `keys`, as a Value with this artifact as its source."""
        value = self.content
        for key in keys:
            value = value[key]
        return Value(value, self.path, ".".join(keys))

    def digest(self) -> Value:
        """Return the SHA-256 of the artifact's file, as a Value with this file as its source."""
        return Value(self.sha256, self.path, "", "SHA-256 of the file")


@dataclass(frozen=True)
class DeploymentFacts:
    """The build's records of one target of a model: `target` is its name in config.yaml.

    `index` has the files of the model repository, `selection` the configuration that was chosen for it, and `load_test`
    the measurements from which it was chosen.
    """

    target: str
    index: Artifact
    selection: Artifact
    load_test: Artifact

    @property
    def key(self) -> dict:
        """Return the build key of the engine, the inputs of its build: {"runtime", "precision", "hardware", ...}."""
        return self.index.content["engine_key"]

    @property
    def is_rehearsal(self) -> bool:
        """Return whether this is a rehearsal: a model with random weights, which must not serve other people."""
        return self.index.content["origin"] == "rehearsal"

    @property
    def capacity_per_s(self) -> float | None:
        """Return the measured capacity of one server, in requests/s within the latency limit; None if not measured."""
        return (self.selection.content.get("capacity") or {}).get("capacity_per_s")

    @property
    def _configuration(self) -> str:
        return configuration_in_words(self.selection.content["measured"])

    def of_hardware(self, value: object, how: str) -> Value:
        """Return `value` as a Value that was derived from the hardware in the engine's build key.

        `how` describes the derivation in words.
        """
        return Value(value, self.index.path, "engine_key.hardware", how)

    def of_peak(self, value: object, kind: str, how: str) -> Value:
        """Return `value` as a Value that was derived from the load test's peak memory, times the margin in config.yaml.

        `kind` is "memory_mb" or "gpu_memory_mb". `how` describes in words how the value follows from this product.
        """
        margin = f"deploy.cluster.{kind.removesuffix('_mb')}_margin"
        how = f"the most memory of {self._configuration}, times {margin}, {how}"
        return Value(value, self.load_test.path, f"measurements[].{kind}", how)

    def peak(self, kind: str) -> float:
        """Return the peak memory in MB that the load test measured with the chosen configuration.

        `kind` is "memory_mb" or "gpu_memory_mb". Raises SlipwayError if no measurement of this configuration has this
        kind of memory.
        """
        chosen = configuration(self.selection.content["measured"])
        rows = [row for row in self.load_test.content["measurements"] if configuration(row) == chosen]
        seen = [row[kind] for row in rows if row.get(kind) is not None]
        if not seen:
            raise SlipwayError(
                f"{self.load_test.path} has no {kind} of {self._configuration}: the load test ended before the first "
                "reading, or may not read it. Raise `load_test.requests` for a longer test, and run snakemake again"
            )
        return max(seen)


def require_shippable(all_facts: list[DeploymentFacts]) -> None:
    """Raise SlipwayError if manifests for other machines cannot be made from the records of the targets.

    Each target's runtime must have a Triton backend. Its repository must be made from the given selection, and the
    selection from the given load test. There must be at least one target.
    """
    if not all_facts:
        raise SlipwayError(
            "no target of config.yaml can be deployed to others: Triton has no backend of its own for the engines of "
            "their runtimes; add a target with another runtime"
        )
    for facts in all_facts:
        traits = RUNTIMES[facts.key["runtime"]]
        if not traits.native_backend:
            raise SlipwayError(
                f"config: `deploy.fleet` has {facts.target}, but Triton has no backend of its own for engines of "
                f"{traits.title}; take it out, or give the target another runtime"
            )
        index, selection = facts.index, facts.selection
        require_made_from(index, index.content["chain"]["selection_sha256"], selection)
        require_made_from(selection, selection.content["chosen_from"]["load_test_sha256"], facts.load_test)


def refuse_rehearsal(model: str, index: Artifact, denied: str) -> None:
    """Raise SlipwayError if a model's weights are random, since such a model must not be deployed to others.

    `index` is the index of its repository. `denied` ends the message, for example "not published".
    """
    if index.content["origin"] == "rehearsal":
        raise SlipwayError(
            f"{model} has random weights ({index.path} says `rehearsal`): it is served on this machine only, and "
            f"{denied}. Name a checkpoint of yours as `models.{model}.weights` in config.yaml, or run this where "
            "published weights can be downloaded"
        )


def require_made_from(artifact: Artifact, expected: str, source: Artifact) -> None:
    """Raise SlipwayError unless `artifact` was made from the file `source` as it is now.

    `expected` is the SHA-256 that `artifact` states for its source.
    """
    if expected != source.sha256:
        raise SlipwayError(
            f"{artifact.path} was made from another {source.path} than the one that lies here; run snakemake again"
        )


def plain(values: dict[str, Value]) -> TargetValues:
    """Return the values of a target without their sources, {name: value}, as the makers of manifests take them."""
    return {name: value.value for name, value in values.items()}


def trace(values: dict[str, Value]) -> dict[str, dict]:
    """Return the values of a target with their sources, for manifests.json: {name: {"value", "source", "key", "how"}}.

    They are sorted by name. Empty entries are left out.
    """
    return {
        name: {word: content for word, content in asdict(values[name]).items() if word == "value" or content}
        for name in sorted(values)
    }
