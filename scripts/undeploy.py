"""Stop this checkout's local server and withdraw its receipts."""

import argparse
from pathlib import Path

from slipway.core.artifacts import remove
from slipway.core.cli import parser, progress, run
from slipway.deploy.local import server_state
from slipway.deploy.local.installation import lock
from slipway.deploy.local.model_store import ModelStore
from slipway.deploy.local.receipts import receipts_of_dropped
from slipway.deploy.local.recorded_server import stop_all
from slipway.deploy.local.rollout import forget
from slipway.deploy.local.trial import stop_left_over
from slipway.triton.server.tritonserver import DRAIN_S


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__)
    arguments.add_argument("--receipts", type=Path, nargs="+", required=True, help="receipts to withdraw (.json)")
    arguments.add_argument("--state", type=Path, default=server_state.FOLDER, help="folder of the server's state")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Drain and stop the live server and any trial server of this checkout, and withdraw the receipts."""
    with lock(arguments.state):
        stop_left_over(arguments.state)
        running = server_state.running_server(arguments.state)
        if running:
            stop_all(arguments.state, DRAIN_S)
            progress(f"stopped tritonserver (process {running['pid']})")
        else:
            progress("nothing is deployed from this checkout")
        store = ModelStore(arguments.state)
        for path in [*arguments.receipts, *receipts_of_dropped(arguments.receipts, store)]:
            remove(path)
        server_state.forget_state(arguments.state)
        forget(store)


if __name__ == "__main__":
    run(main, parse_arguments())
