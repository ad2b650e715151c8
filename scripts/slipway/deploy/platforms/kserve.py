"""KServe as a deployment platform."""

from slipway.deploy.platforms.traits import PlatformTraits

TRAITS = PlatformTraits(
    name="kserve",
    files=("kserve.yaml",),
    manifests="slipway.manifests.kubernetes:kserve_files",
    deployment="slipway.deploy.kubernetes:KServe",
    on_this_machine=False,
    together=False,
)
