"""The service level of a model: the figures of its load test, and the limits for alerts and the dashboard."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

from slipway.core.hardware import is_gpu
from slipway.core.steadiness import DISTURBED
from slipway.manifests.deployment_facts import Artifact, require_made_from

# An alert is raised if p99 exceeds the measured p99 by this share.
P99_MARGIN = 0.25
# An alert is raised at this multiple of the measured ratio of queue time to compute time, but never below a ratio of 1.
QUEUE_FACTOR = 2


@dataclass(frozen=True)
class ServiceLevel:
    """The load test's figures of the served configuration, from which alerts and dashboard take their limits.

    `model` is its name in Triton. `origin` is "rehearsal" for random weights. `p99_ms` and `throughput_per_s` were
    measured by the client: at `capacity_per_s` requests/s at random times, or, if that is None, with `concurrency`
    requests in flight. Each request has one sample. `p99_limit_ms` is the limit in config.yaml, None without one.
    `queue_ms` and `compute_ms` are the server's means in the same measurement; compute is the inference alone.
    `is_disturbed`: other work disturbed this measurement. `headroom` is the share of the capacity that stays free.
    `artifacts` is {file: SHA-256} of the files with these figures. `namespace` is the cluster's namespace, None outside
    of a cluster. `faster` has the levels of the other targets (kinds of GPU or CPU that serve the model).
    """

    model: str
    origin: str
    p99_ms: float
    p99_limit_ms: float | None
    throughput_per_s: float
    concurrency: int
    queue_ms: float
    compute_ms: float
    max_batch_size: int
    instances: int
    on_gpu: bool
    artifacts: dict[str, str]
    capacity_per_s: float | None = None
    headroom: float = 0.0
    is_disturbed: bool = False
    namespace: str | None = None
    faster: tuple["ServiceLevel", ...] = ()

    @property
    def scope(self) -> dict[str, str]:
        """Return {label: value} that selects the metrics of this model: "model", and in a cluster "namespace"."""
        return {"model": self.model} | ({"namespace": self.namespace} if self.namespace else {})

    @property
    def load(self) -> str:
        """Return in words under which load the figures were measured, such as "100 requests/s at random times".

        The text also says whether other work disturbed the measurement.
        """
        how = "at random times" if self.capacity_per_s else f"with {self.concurrency} in flight"
        doubt = " (other work disturbed this measurement)" if self.is_disturbed else ""
        return f"{self.throughput_per_s:g} requests/s {how}{doubt}"

    @property
    def rate_alert_per_s(self) -> float | None:
        """Return the requests/s of one server above which an alert is raised: the server's capacity less the headroom.

        With several targets, this is the highest rate of all targets, so that no fast target raises an endless alert.
        Return None if the capacity of a target is not known.
        """
        capacities = [level.capacity_per_s for level in (self, *self.faster)]
        known = [capacity for capacity in capacities if capacity]
        return round(max(known) * (1 - self.headroom), 3) if len(known) == len(capacities) else None

    @property
    def p99_alert_ms(self) -> float:
        """Return the p99 latency (ms) above which an alert is raised: (1 + P99_MARGIN) times the measured p99."""
        return round(self.p99_ms * (1 + P99_MARGIN), 3)

    @property
    def queue_to_compute(self) -> float:
        """Return the measured ratio of queue time to compute time. With several targets, return the highest ratio.

        Return 0 if the measured compute time is 0.
        """
        ratios = [level.queue_ms / level.compute_ms for level in (self, *self.faster) if level.compute_ms]
        return max(ratios, default=0.0)

    @property
    def queue_to_compute_alert(self) -> float:
        """Return the ratio of queue time to compute time above which an alert is raised; at least 1."""
        return max(1.0, round(QUEUE_FACTOR * self.queue_to_compute, 2))

    @property
    def most_waiting(self) -> int:
        """Return the number of requests that may wait on one server. With several targets, return the highest number.

        More waiting requests raise an alert. The result is the largest of three numbers: the samples in full batches of
        all instances, the load test's requests in flight, and by Little's law the requests that wait at the capacity.
        """
        # Without batches, the largest batch is 0, and an instance computes one sample at once.
        levels = (self, *self.faster)
        full_batches = max(max(1, level.max_batch_size) * level.instances for level in levels)
        waiting = [math.ceil((level.capacity_per_s or 0) * level.queue_ms / 1e3) for level in levels]
        return max(full_batches, *(level.concurrency for level in levels), *waiting)


def read_service_level(selection_path: Path, index_path: Path, headroom: float = 0.0) -> ServiceLevel:
    """Return the service level of a model on one target, a kind of GPU or CPU that config.yaml names.

    `selection_path` is selection.json, the configuration that the load test chose, with its figures. `index_path` is
    repository.json, the index of the model repository made from it. The figures are those at the capacity with requests
    at random times if p99 was measured there, else those with a fixed number of requests in flight. `headroom` is the
    share (0 to 1) of the capacity that must stay free. Raises SlipwayError if the repository was made from another
    selection.
    """
    selection_artifact, repository = Artifact.read(selection_path), Artifact.read(index_path)
    selection, index = selection_artifact.content, repository.content
    require_made_from(repository, index["chain"]["selection_sha256"], selection_artifact)
    measured, held = selection["measured"], (selection.get("capacity") or {}).get("holds_at") or {}
    figures = {name: measured[name] for name in ("p99_ms", "throughput_per_s", "concurrency", "queue_ms", "compute_ms")}
    if is_open := "p99_ms" in held:
        figures |= {name: held.get(name, figures[name]) for name in ("p99_ms", "queue_ms", "compute_ms")}
        figures["throughput_per_s"] = round(selection["capacity"]["capacity_per_s"], 3)
    return ServiceLevel(
        model=index["name"],
        origin=index["origin"],
        p99_limit_ms=selection["limits"]["p99_ms"],
        **figures,
        capacity_per_s=figures["throughput_per_s"] if is_open else None,
        headroom=headroom,
        is_disturbed=(held if is_open else measured)["verdict"] == DISTURBED,
        **{name: selection[name] for name in ("max_batch_size", "instances")},
        on_gpu=is_gpu(index["engine_key"]["hardware"]),
        artifacts={
            "weights.safetensors": index["chain"]["weights_sha256"],
            "selection.json": selection_artifact.sha256,
            "repository.json": repository.sha256,
        },
    )


def read_slowest(selections: list[Path], indexes: list[Path], headroom: float = 0.0) -> ServiceLevel:
    """Return the service level of the slowest target, as `slowest` does, from the files of all targets.

    `selections` and `indexes` have the two files of `read_service_level` for each target, in the same order. `headroom`
    is the share (0 to 1) of the capacity that must stay free.
    """
    return slowest([read_service_level(*paths, headroom) for paths in zip(selections, indexes, strict=True)])


def slowest(levels: list[ServiceLevel]) -> ServiceLevel:
    """Return the service level with the highest p99, with the levels of the other targets in `faster`.

    A target is a kind of GPU or CPU. Triton's metrics do not state it, so all targets need the same limits. With the
    limits of the slowest target, an alert on a fast target may come late, but no slow target raises an endless alert.
    """
    ordered = sorted(levels, key=lambda level: level.p99_ms)
    return replace(ordered[-1], faster=tuple(ordered[:-1]), on_gpu=any(level.on_gpu for level in levels))
