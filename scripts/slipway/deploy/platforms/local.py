"""The machine of this checkout as a deployment platform, with one Triton server for all models."""

from slipway.deploy.platforms.traits import PlatformTraits

TRAITS = PlatformTraits(
    name="local",
    files=(),
    manifests="",
    deployment="slipway.deploy.local.platform:Local",
    on_this_machine=True,
    together=True,
)
