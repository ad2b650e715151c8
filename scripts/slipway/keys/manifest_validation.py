"""Refuse manifests that cannot be written, or that no Kubernetes would accept, before any job runs."""

from slipway.core.errors import amended
from slipway.keys.resolved_config import ResolvedConfig
from slipway.keys.server_validation import RANDOM
from slipway.manifests.names import REHEARSAL, label
from slipway.triton.server.releases import require_supported


def require_manifests(resolved: ResolvedConfig, model: str) -> None:
    """Raise SlipwayError if the manifests of a model cannot be written, or if no Kubernetes would accept them.

    The Triton release that they name must be known, and at least `triton.oldest`. The objects in Kubernetes are named
    after the model and the target; such a name must not be too long.
    """
    triton, weights = resolved.config["triton"], resolved.config["models"][model]["weights"]
    require_supported(triton["release"] or resolved.default_release(), triton["image"], triton["oldest"])
    suffix, to = [REHEARSAL] if weights == RANDOM else [], resolved.config["deploy"]["to"]
    for target in resolved.fleet:
        with amended(f"config: `models.{model}` on `targets.{target}`: "):
            label(model, target, *suffix, to=to)
