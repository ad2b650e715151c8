"""Whether a cluster adds nodes by itself, so that a pod without room is worth waiting for."""

from slipway.cluster.api import Cluster
from slipway.core.errors import SlipwayError

# What the cluster autoscaler writes of itself, and where.
STATUS = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "cluster-autoscaler-status", "namespace": "kube-system"},
}


def adds_nodes(cluster: Cluster) -> bool:
    """Say whether the cluster adds nodes by itself; one that does not tell is taken for one that does not."""
    try:
        return cluster.get(STATUS) is not None
    except SlipwayError:
        return False
