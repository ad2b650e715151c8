"""The models that this checkout deployed, including models that config.yaml no longer has.

Planning imports this module. So this module imports the client only if a server runs.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from slipway.deploy.ledger import Ledger
from slipway.deploy.local import server_state
from slipway.deploy.platforms import PLATFORMS
from slipway.deploy.receipts import local_receipts


def ledger(state: Path = server_state.FOLDER) -> dict:
    """Return the content of the local server's ledger."""
    return Ledger(state / "published" / "live.json").read()


def live_models(state: Path = server_state.FOLDER) -> set[str]:
    """Return the names, as in config.yaml, of the models that are live on the local server."""
    known = ledger(state)["last"]
    return {receipt["model"] for receipt in local_receipts(state.parent) if receipt["served_as"] in known}


def deployed_models(to: str, state: Path = server_state.FOLDER) -> list[str]:
    """Return the names, as in config.yaml, of the models that are live on a platform or have stored versions for it."""
    if not PLATFORMS[to].together:
        return sorted(path.parents[2].name for path in state.parent.glob(f"*/deploy/{to}/history.json"))
    return sorted({entry["model"] for entry in ledger(state)["models"].values()} | live_models(state))


@cache
def silent_models(tell: Callable[[str], None]) -> dict[str, str]:
    """Return {live model of the local server that does not answer: the reason}.

    Call `tell` with a sentence about each of these models.
    """
    if server_state.recorded_server() is None:
        return {}
    from slipway.deploy.local.health_check import why_silent  # this import takes half a second

    silent = why_silent()
    for name, why in silent.items():
        tell(f"{name} does not answer, because {why}; it is served anew")
    return silent
