"""The number of replicas of each target, from the measured capacity of one server."""

import math
from collections.abc import Sequence

from slipway.core.readable import readable
from slipway.core.steadiness import DISTURBED
from slipway.manifests.deployment_facts import CONFIG, DeploymentFacts, Value

ALONE = "one, without deploy.cluster.replicas, and without deploy.rate or a measured capacity"


def sized(facts: DeploymentFacts, fleet: Sequence[DeploymentFacts], deploy: dict) -> dict[str, Value]:
    """Return the number of replicas (pods) of a target, and the values for its autoscaler, {name: Value}.

    `facts` are the target's records, and `fleet` those of all targets, whose pods share one address. `deploy` has
    {"rate": requests/s to serve or None, "headroom": share of the capacity to keep free, "cluster": the section
    `deploy.cluster` of config.yaml}.

    The names are "replicas", "max_replicas", "busy_percent", "pending", "sizing", "sizing_risk". The autoscaler adds a
    replica at "busy_percent" of CPU use, or at "pending" waiting requests. "sizing" is the arithmetic in words; None if
    the replicas do not come from a rate. "sizing_risk" is a reason against this number of replicas, or None.
    """
    declared, rate = deploy["cluster"]["replicas"], deploy["rate"]
    needed = _needed(fleet, rate, deploy["headroom"]) if rate else None
    sizing = _arithmetic(fleet, deploy, needed) if declared is None and needed else None
    replicas = Value(declared or 1, CONFIG, "deploy.cluster.replicas", "" if declared else ALONE)
    if sizing:
        replicas = Value(needed, facts.selection.path, "capacity.capacity_per_s", sizing)
    busy = round(100 * (1 - deploy["headroom"]))
    return {
        "replicas": replicas,
        "max_replicas": _max_replicas(replicas, deploy["cluster"]["max_replicas"]),
        "busy_percent": Value(busy, CONFIG, "deploy.headroom", "the share of the CPUs in use, in percent"),
        "pending": _pending(facts, deploy["headroom"]),
        "sizing": Value(sizing, CONFIG, "deploy.rate"),
        "sizing_risk": Value(_risk(fleet, deploy, needed), CONFIG, "deploy.rate"),
    }


def _needed(fleet: Sequence[DeploymentFacts], rate: float, headroom: float) -> int | None:
    """Return the number of replicas per target for `rate` requests/s; None if the capacity of a target is not known.

    `headroom` is the share of the capacity to keep free. The pods of all targets share one address, which spreads
    requests evenly. So the capacity of the slowest target counts for every pod.
    """
    capacities = list(filter(None, (facts.capacity_per_s for facts in fleet)))
    if len(capacities) < len(fleet):
        return None
    return math.ceil(rate / (min(capacities) * (1 - headroom)) / len(fleet) - 1e-9)


def _arithmetic(fleet: Sequence[DeploymentFacts], deploy: dict, replicas: int) -> str:
    slowest = min(fleet, key=lambda facts: facts.capacity_per_s or 0)
    targets = f" on each of {len(fleet)} targets" if len(fleet) > 1 else ""
    return (
        f"{deploy['rate']:g} requests/s (deploy.rate) over {readable(slowest.capacity_per_s or 0)}/s that one server "
        f"of {slowest.target} takes, of which {deploy['headroom']:.0%} stay free (deploy.headroom): {replicas}{targets}"
    )


def _max_replicas(replicas: Value, declared: int | None) -> Value:
    """Return the autoscaler's highest number of replicas, as a Value. If it equals `replicas`, there is no autoscaler.

    `declared` is the number in config.yaml; None takes a number from `replicas`.
    """
    if declared is not None:
        return Value(max(replicas.value, declared), CONFIG, "deploy.cluster.max_replicas")
    doubled = replicas.value if replicas.value == 1 else 2 * replicas.value
    return Value(doubled, replicas.source, replicas.key, "twice as many replicas from two up")


def _pending(facts: DeploymentFacts, headroom: float) -> Value:
    """Return the number of waiting requests on a server at which the autoscaler of a GPU target adds a replica.

    `headroom` is the share of the capacity to keep free. By Little's law, the mean number of waiting requests is the
    rate of requests times the mean waiting time.
    """
    selection = facts.selection.content
    if point := (selection.get("capacity") or {}).get("holds_at"):
        waiting = point["answered_per_s"] * point.get("queue_ms", 0) / 1e3
        how = "requests that wait at the capacity (rate times queue_ms), less deploy.headroom, at least one"
        return Value(max(1, round(waiting * (1 - headroom))), facts.selection.path, "capacity.holds_at", how)
    at_once = selection["instances"] * max(1, selection["max_batch_size"])
    return Value(at_once, facts.selection.path, "instances", "times max_batch_size: full batches of all")


def _risk(fleet: Sequence[DeploymentFacts], deploy: dict, needed: int | None) -> str | None:
    """Return the reason, in words, against the number of replicas; None without a reason or without `deploy.rate`.

    `deploy` has the settings that `sized` describes. `needed` is the number of replicas for the rate, None if it is not
    known.
    """
    rate, declared, most = deploy["rate"], deploy["cluster"]["replicas"], deploy["cluster"]["max_replicas"]
    if not rate:
        return None
    if needed is None:
        unknown = ", ".join(facts.target for facts in fleet if not facts.capacity_per_s)
        return (
            f"whether the replicas suffice for deploy.rate ({rate:g}/s) cannot be told: no capacity of {unknown} was "
            "measured (`load_test.request_rates`)"
        )
    if declared is not None and declared < needed:
        return f"deploy.cluster.replicas is {declared}, but deploy.rate needs {needed}: raise it, or leave it out"
    if declared is None and most is not None and most < needed:
        return f"deploy.cluster.max_replicas is {most}, but deploy.rate needs {needed}, so it is taken as {needed}"
    if any(facts.selection.content["capacity"]["verdict"] == DISTURBED for facts in fleet):
        return "other work disturbed the measurement of the capacity that deploy.rate is compared with"
    return None
