"""Find the live models that do not answer, during planning. The client is imported only if a server runs."""

from collections.abc import Callable
from functools import cache

from slipway.deploy.local import server_state


@cache
def silent_models(tell: Callable[[str], None]) -> dict[str, str]:
    """Return {live model that does not answer: the reason}, and call `tell` with each, once a run."""
    if server_state.recorded_server() is None:
        return {}
    from slipway.deploy.local.health_check import why_silent  # it takes half a second to import

    silent = why_silent()
    for name, why in silent.items():
        tell(f"{name} does not answer, because {why}; it is served anew")
    return silent
