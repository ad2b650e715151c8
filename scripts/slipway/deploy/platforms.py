"""Which place is which: from `deploy.to` to what deploys there."""

from pathlib import Path

from slipway.deploy.platform import Platform
from slipway.manifests.kubernetes import PULL_S


def platform_at(to: str, place: dict, folder: Path, ready_timeout_s: float = 120) -> Platform:
    """Return what deploys to a place; nothing is asked of it yet.

    `place` is {"app", "namespace", "context"}, as receipts have it: the model's name there, and where in which cluster,
    the kubeconfig's current one without "context". `folder` is where its versions are kept here.
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
