"""Plain Kubernetes as a deployment platform."""

from slipway.deploy.platforms.traits import PlatformTraits

TRAITS = PlatformTraits(
    name="kubernetes",
    files=("kubernetes.yaml",),
    manifests="slipway.manifests.kubernetes:files",
    deployment="slipway.deploy.kubernetes:Kubernetes",
    on_this_machine=False,
    together=False,
)
