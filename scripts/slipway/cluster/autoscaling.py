"""Cluster autoscaling: whether to wait for a new node for an unschedulable pod."""

from slipway.cluster.api import Cluster
from slipway.core.errors import SlipwayError

# The status of the cluster autoscaler, a ConfigMap.
STATUS = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "cluster-autoscaler-status", "namespace": "kube-system"},
}


def adds_nodes(cluster: Cluster) -> bool:
    """Say whether the cluster adds nodes by itself; False if it does not state that."""
    try:
        return cluster.get(STATUS) is not None
    except SlipwayError:
        return False
