"""What was measured of a model before it was deployed, which its alerts and its dashboard hold the server to."""

from dataclasses import dataclass, replace
from pathlib import Path

from slipway.hardware import is_gpu
from slipway.manifests.evidence import Artifact, require_made_from

# How far p99 may rise above what was measured before somebody is told: as a share of it.
P99_MARGIN = 0.25


@dataclass(frozen=True)
class Promise:
    """The load test's figures of the configuration that is served, the limit that it was chosen under, its origin.

    `p99_ms` and `throughput_per_s` were seen by the client, with `concurrency` requests in flight, each of one image;
    `queue_ms` and `compute_ms` are the server's means in the same test, the latter of the inference alone.
    `artifacts` is {file: its SHA-256}. `namespace` is where a cluster serves it, None outside of one.
    """

    model: str
    origin: str
    p99_ms: float
    p99_limit_ms: float
    throughput_per_s: float
    concurrency: int
    queue_ms: float
    compute_ms: float
    max_batch_size: int
    instances: int
    on_gpu: bool
    artifacts: dict[str, str]
    namespace: str | None = None

    @property
    def scope(self) -> dict[str, str]:
        """Return the labels by which the model's metrics are known from those of others."""
        return {"model": self.model} | ({"namespace": self.namespace} if self.namespace else {})

    @property
    def p99_alert_ms(self) -> float:
        """Return the p99 above which the served model is slower than it was measured, P99_MARGIN added."""
        return round(self.p99_ms * (1 + P99_MARGIN), 3)

    @property
    def queue_to_compute(self) -> float:
        """Return the measured ratio of waiting to computing; 0 where computing took less than the table shows."""
        return self.queue_ms / self.compute_ms if self.compute_ms else 0.0

    @property
    def in_one_round(self) -> int:
        """Return how many requests of one image one server computes at once: a full batch in every instance."""
        return self.max_batch_size * self.instances


def read_promise(selection_path: Path, index_path: Path) -> Promise:
    """Return what selection.json promises of the model in a repository; `index_path` is the repository's index.

    Raises SlipwayError when the repository was made from another selection.
    """
    found, repository = Artifact.read(selection_path), Artifact.read(index_path)
    selection, index = found.content, repository.content
    require_made_from(repository, index["chain"]["selection_sha256"], found)
    measured = selection["measured"]
    return Promise(
        model=index["name"],
        origin=index["origin"],
        p99_limit_ms=selection["limits"]["p99_ms"],
        **{name: measured[name] for name in ("p99_ms", "throughput_per_s", "concurrency", "queue_ms", "compute_ms")},
        **{name: selection[name] for name in ("max_batch_size", "instances")},
        on_gpu=is_gpu(index["engine_key"]["hardware"]),
        artifacts={
            "weights.safetensors": index["chain"]["weights_sha256"],
            "selection.json": found.sha256,
            "repository.json": repository.sha256,
        },
    )


def slowest(promises: list[Promise]) -> Promise:
    """Return what servers of several targets are held to: the promise of the slowest.

    Nothing in Triton's metrics tells targets apart, and an alert that is late on a fast one is better than one that
    never ends on a slow one.
    """
    return replace(max(promises, key=lambda each: each.p99_ms), on_gpu=any(each.on_gpu for each in promises))
