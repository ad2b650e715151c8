"""Whether the models that are live here answer, asked while planning, which imports a client only if a server runs."""

from collections.abc import Callable
from functools import cache

from slipway.deploy.local import server_state


@cache
def silent_models(tell: Callable[[str], None]) -> dict[str, str]:
    """Return why live models do not answer, by name; `tell` says so to the user, once a run."""
    if server_state.recorded_server() is None:
        return {}
    from slipway.deploy.local.liveness import why_silent  # it takes half a second to import

    silent = why_silent()
    for name, why in silent.items():
        tell(f"{name} does not answer, because {why}; it is served anew")
    return silent
