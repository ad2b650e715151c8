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
    """Return the ledger of the local server, the record of its stored and live versions, as `Ledger.read` returns it.

    `state` is the folder of the server's state, results/.server.
    """
    return Ledger(state / "published" / "live.json").read()


def live_models(state: Path = server_state.FOLDER) -> set[str]:
    """Return the names, as in config.yaml, of the models that are live on the local server with the folder `state`."""
    known = ledger(state)["last"]
    return {receipt["model"] for receipt in local_receipts(state.parent) if receipt["served_as"] in known}


def deployed_models(to: str, state: Path = server_state.FOLDER) -> list[str]:
    """Return the models that are live on the platform `to` or have stored versions for it.

    The names are those in config.yaml.

    `state` is the folder of the local server's state, beside the folders of the models' results.
    """
    if not PLATFORMS[to].together:
        return sorted(path.parents[2].name for path in state.parent.glob(f"*/deploy/{to}/history.json"))
    return sorted({entry["model"] for entry in ledger(state)["models"].values()} | live_models(state))


@cache
def silent_models(tell: Callable[[str], None]) -> dict[str, str]:
    """Return {live model on the local server that does not answer: reason}, for planning their new deployment.

    `tell` is called with a sentence about each of these models.
    """
    if server_state.recorded_server() is None:
        return {}
    from slipway.deploy.local.health_check import why_silent  # this import takes half a second

    silent = why_silent()
    for name, why in silent.items():
        tell(f"{name} does not answer, because {why}; it is served anew")
    return silent
