"""Arena as a deployment platform."""

from slipway.deploy.platforms.traits import PlatformTraits

TRAITS = PlatformTraits(
    name="arena",
    files=("arena.yaml", "arena.sh"),
    manifests="slipway.manifests.arena:files",
    deployment="slipway.deploy.arena:Arena",
    on_this_machine=False,
    together=False,
)
