"""The deployment platforms by their name in `deploy.to`."""

from pathlib import Path

from slipway.deploy.platform import Platform
from slipway.manifests.kubernetes import PULL_S


def platform_at(to: str, place: dict, folder: Path, ready_timeout_s: float = 120) -> Platform:
    """Return the platform at a place; no request is sent yet.

    `place` is {"app", "namespace", "context"}, as in receipts: the model's name there, the namespace, and the context
    of the kubeconfig (by default its current one). `folder` has the stored releases on this machine.
    """
    if to == "compose":
        from slipway.deploy.compose import Compose

        return Compose(folder, ready_timeout_s)
    # Kubernetes' client is large, and whoever deploys with Compose need not have it.
    from slipway.cluster.api import Cluster
    from slipway.deploy.arena import Arena
    from slipway.deploy.kubernetes import KServe, Kubernetes

    kinds = {"kubernetes": Kubernetes, "kserve": KServe, "arena": Arena}
    return kinds[to](Cluster.connect(place["namespace"], place.get("context")), place["app"], PULL_S + ready_timeout_s)
