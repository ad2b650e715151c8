"""What was measured of a model before it was deployed, which its alerts and its dashboard hold the server to."""

from dataclasses import dataclass, replace
from pathlib import Path

from slipway.core.hardware import is_gpu
from slipway.manifests.deployment_facts import Artifact, require_made_from

# How far p99 may rise above what was measured before somebody is told: as a share of it.
P99_MARGIN = 0.25


@dataclass(frozen=True)
class ServiceLevel:
    """The load test's figures of the configuration that is served, the limit that it was chosen under, its origin.

    `p99_ms` and `throughput_per_s` were seen by the client, with `concurrency` requests in flight, each of one image;
    `queue_ms` and `compute_ms` are the server's means in the same test, the latter of the inference alone.
    `artifacts` is {file: its SHA-256}. `namespace` is where a cluster serves it, None outside of one. `faster` are the
    levels of the model's other targets, if it has any.
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
    faster: tuple["ServiceLevel", ...] = ()

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
        """Return the measured ratio of waiting to computing, of several targets the highest.

        It is 0 where computing took less than the table shows.
        """
        ratios = [each.queue_ms / each.compute_ms for each in (self, *self.faster) if each.compute_ms]
        return max(ratios, default=0.0)

    @property
    def most_waiting(self) -> int:
        """Return how many requests may wait on one server, of several targets on the one where most may.

        That is as many as its instances compute at once, a full batch in each, or as the load test had in flight.
        """
        return max(max(each.max_batch_size * each.instances, each.concurrency) for each in (self, *self.faster))


def read_service_level(selection_path: Path, index_path: Path) -> ServiceLevel:
    """Return what selection.json levels of the model in a repository; `index_path` is the repository's index.

    Raises SlipwayError when the repository was made from another selection.
    """
    found, repository = Artifact.read(selection_path), Artifact.read(index_path)
    selection, index = found.content, repository.content
    require_made_from(repository, index["chain"]["selection_sha256"], found)
    measured = selection["measured"]
    return ServiceLevel(
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


def read_slowest(selections: list[Path], indexes: list[Path]) -> ServiceLevel:
    """Return what servers of several targets are held to; the lists have one entry a target, in the same order."""
    return slowest([read_service_level(*paths) for paths in zip(selections, indexes, strict=True)])


def slowest(levels: list[ServiceLevel]) -> ServiceLevel:
    """Return what servers of several targets are held to: the level of the slowest target, which knows the others.

    Nothing in Triton's metrics tells targets apart, and an alert that is late on a fast one is better than one that
    never ends on a slow one; nor may the longer queue of a fast one raise an alert for ever.
    """
    ordered = sorted(levels, key=lambda each: each.p99_ms)
    return replace(ordered[-1], faster=tuple(ordered[:-1]), on_gpu=any(each.on_gpu for each in levels))
