"""Refuse a server that cannot run here or must not serve the configured models, before any job runs."""

from collections.abc import Iterable
from pathlib import Path

from slipway.core.errors import SlipwayError
from slipway.core.records import read_record
from slipway.keys.publication_validation import require_folder
from slipway.keys.resolved_config import ResolvedConfig
from slipway.triton.server.exposure import require_accepted
from slipway.triton.server.server_choice import require_runnable

# The value of `weights` for a rehearsal, which is a run with random weights.
RANDOM = "random"


def require_servers(resolved: ResolvedConfig, models: Iterable[str] = ()) -> None:
    """Raise SlipwayError if the Triton at `deploy.to` is not configured, cannot serve the engines, or is too exposed.

    `models` are the models to deploy. Elsewhere than on this machine, they must not have random weights. Problems that
    show only in a job, such as a failed download of weights, are not found here.
    """
    platform, triton = resolved.config["deploy"]["to"], resolved.config["triton"]
    if platform == "local":
        target = resolved.deployed_target
        require_accepted(resolved.config["deploy"]["host"], resolved.server(target), triton["oldest"])
        require_local_server(resolved, target)
        return
    require_real_weights(resolved, models, f"not deployed to {platform}")
    require_folder(resolved.config["deploy"]["publish"]["to"])
    unservable = [name for name in resolved.fleet or resolved.targets if not resolved.traits(name).native_backend]
    if unservable:
        titles = " or ".join(sorted({resolved.traits(name).title for name in unservable}))
        named = f"`deploy.fleet` has {unservable[0]}" if resolved.fleet else f"every target is one of {titles}"
        raise SlipwayError(
            f"config: `deploy.to` is {platform}, but {named}, and Triton has no backend of its own for engines of "
            f"{titles}; give the target another runtime, or set `deploy.to` to local"
        )
    if not (triton["release"] or triton["image"] or resolved.default_release()):
        raise SlipwayError(
            f"config: `deploy.to` is {platform}, but nothing says which Triton serves there; set `triton.release`"
        )


def require_real_weights(resolved: ResolvedConfig, models: Iterable[str], denied: str) -> None:
    """Raise SlipwayError if the `weights` of one of these models are random.

    `denied` ends the message with the refused action, such as "not published".
    """
    for model in models:
        if resolved.config["models"][model]["weights"] == RANDOM:
            raise SlipwayError(
                f"config: `models.{model}.weights` is {RANDOM}: random weights are served on this machine only, and "
                f"{denied}. Name a checkpoint of yours there, or set `deploy.to` to local"
            )


def require_local_server(resolved: ResolvedConfig, target: str, record: Path | None = None) -> None:
    """Raise SlipwayError if the tritonserver that `triton.run` chooses for a target cannot run on this machine.

    `record` is the path of the record of the last load test. If the record names the same server, nothing is checked,
    since no new load test is needed. With None, the server is always checked.
    """
    choice = resolved.server(target)
    tested = read_record(record, {"key": dict}) if record else None
    if tested and all(tested["key"].get(name) == value for name, value in choice.settings().items()):
        return
    require_runnable(choice, resolved.config["triton"], resolved.traits(target))
