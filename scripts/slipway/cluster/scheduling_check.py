"""Scheduling check: whether the nodes have room for a model's pods on all its targets, beside the running pods.

A target is a kind of GPU or CPU that config.yaml names. Its values in the manifests state the resources of its pods.
"""

from collections import Counter
from decimal import Decimal

from kubernetes.utils import parse_quantity

from slipway.cluster.api import Cluster
from slipway.cluster.api_errors import Forbidden
from slipway.cluster.api_resources import is_ready, labels_of, servers
from slipway.cluster.rollout import adds_nodes
from slipway.core.errors import SlipwayError
from slipway.manifests.pod_resources import resources


class Node:
    """A node of the cluster, with the resources that running pods leave free.

    `node` and `pods` are objects as the API returns them. `free` is {resource: quantity that the requests of `pods`
    leave free}.
    """

    def __init__(self, node: dict, pods: list[dict]) -> None:
        self._name, self._labels = node["metadata"]["name"], node["metadata"].get("labels") or {}
        self._taints = node.get("spec", {}).get("taints") or []
        self.free = _quantities(node["status"].get("allocatable", {}))
        for pod in pods:
            if pod["spec"]["nodeName"] == self._name:
                self.free.subtract(_requests(pod["spec"]))

    def takes(self, d: dict) -> bool:
        """Say whether the pods of a target may run on this node, by its labels and taints.

        `d` has the target's values in the manifests. The node must have the labels d["node_labels"]. Only pods with
        d["on_gpu"] tolerate the taint nvidia.com/gpu.
        """
        borne = {"nvidia.com/gpu"} if d["on_gpu"] else set()
        lasting = [taint for taint in self._taints if taint["effect"] in ("NoSchedule", "NoExecute")]
        labelled = all(self._labels.get(key) == value for key, value in d["node_labels"].items())
        return labelled and all(taint["key"] in borne for taint in lasting)

    def shortage(self, wanted: Counter) -> str:
        """Return text with the resources of which the node has too little; "" if it has enough of all.

        `wanted` is {resource: quantity}, the requests of one pod.
        """
        short = [
            f"{_said(self.free[name])} of {_said(quantity)} {name}"
            for name, quantity in wanted.items()
            if self.free[name] < quantity
        ]
        return f"{self._name} has {', '.join(short)}" if short else ""


def room(cluster: Cluster, objects: list[dict], fleet: list[dict]) -> tuple[list[str], list[str]]:
    """Check that the nodes have room for a model's pods; return (verified facts, unverified facts), as sentences.

    `objects` are the objects to apply. `fleet` has the values of each target in the manifests. The resources of pods
    that the rollout replaces count as free. Raises SlipwayError if a pod fits on no node, unless the cluster adds
    nodes.
    """
    try:
        listed = cluster.list("Node")
    except Forbidden:
        return [], ["whether a node has room: listing nodes is forbidden"]
    others, replaced, unsure = _running_pods(cluster, objects)
    usable = [node for node in listed if is_ready(node) and not node.get("spec", {}).get("unschedulable")]
    nodes = [Node(node, others) for node in usable]
    crowded = [Node(node, others + replaced) for node in usable]
    verified = []
    for d in fleet:
        shortage = _lacking(nodes, d)
        # Without a GPU, a new pod starts before the old one ends, so both need room.
        if not shortage and replaced and not d["on_gpu"] and (shortage := _lacking(crowded, {**d, "replicas": 1})):
            shortage = f"beside the pods that are replaced, {shortage}"
        if not shortage:
            verified.append(f"{d['replicas']} pod(s) of {d['name']} have room")
        elif adds_nodes(cluster):
            unsure.append(f"whether a node has room for {d['name']}: {shortage}, but the cluster adds nodes by itself")
        else:
            raise SlipwayError(f"{cluster.context} has no room for {d['name']}: {shortage}")
    return verified, unsure


def _running_pods(cluster: Cluster, objects: list[dict]) -> tuple[list[dict], list[dict], list[str]]:
    """Return the running pods, separately: (those that stay, those that the rollout replaces, unverified facts).

    `objects` are the objects to apply. The facts are sentences: there is one if the user may not list the pods.
    """
    try:
        pods = cluster.list("Pod", everywhere=True)
    except Forbidden:
        return [], [], ["the requests of other pods on the nodes: listing the pods of all namespaces is forbidden"]
    selectors = [labels_of(server) for server in servers(objects)]
    others: list[dict] = []
    replaced: list[dict] = []
    for pod in pods:
        if pod["spec"].get("nodeName") and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
            labels = (pod["metadata"].get("labels") or {}).items()
            ours = any(selector.items() <= labels for selector in selectors)
            (replaced if ours and pod["metadata"]["namespace"] == cluster.namespace else others).append(pod)
    return others, replaced, []


def _requests(spec: dict) -> Counter:
    """Return the resources that a pod requests, {resource: quantity}, from the pod's `spec`.

    It is the sum of the containers' requests, or the request of an init container if that request is larger.
    """
    total: Counter[str] = Counter()
    for container in spec["containers"]:
        total.update(_quantities(container.get("resources", {}).get("requests") or {}))
    for container in spec.get("initContainers", []):
        total |= _quantities(container.get("resources", {}).get("requests") or {})
    return total


def _quantities(listed: dict) -> Counter:
    return Counter({name: parse_quantity(quantity) for name, quantity in listed.items()})


def _lacking(nodes: list[Node], d: dict) -> str:
    """Place a target's pods on the nodes, and subtract their requests from each node's free resources.

    `d` has the target's values in the manifests. Return text on why a pod fits on no node; "" if all pods fit.
    """
    wanted = _quantities(resources(d)["requests"])
    eligible = [node for node in nodes if node.takes(d)]
    if not eligible:
        labels = ", ".join(f"{key}={value}" for key, value in sorted(d["node_labels"].items())) or "any label"
        return f"no node that is ready and may be used has {labels} (`deploy.cluster.node_labels`)"
    for number in range(d["replicas"]):
        fitting = next((node for node in eligible if not node.shortage(wanted)), None)
        if fitting is None:
            shortages = "; ".join(node.shortage(wanted) for node in eligible[:5])
            return f"{number} of {d['replicas']} pods have room. {shortages}"
        fitting.free.subtract(wanted)
    return ""


def _said(quantity: Decimal | int) -> str:
    return f"{max(0, quantity) / 2**30:.1f} GiB" if quantity >= 2**24 else f"{float(max(0, quantity)):g}"
