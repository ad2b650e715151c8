"""Docker Compose as a deployment platform."""

from slipway.deploy.platforms.traits import PlatformTraits

TRAITS = PlatformTraits(
    name="compose",
    files=("compose.yaml",),
    manifests="slipway.manifests.compose:files",
    deployment="slipway.deploy.compose:Compose",
    on_this_machine=True,
    together=False,
)
