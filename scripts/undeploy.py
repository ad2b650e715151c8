"""Stop this checkout's local server and withdraw its receipts."""

import argparse
from pathlib import Path

from slipway import local_server
from slipway.artifacts import remove
from slipway.program import parser, progress, run
from slipway.triton.place import alone
from slipway.triton.receipts import receipts_of_dropped
from slipway.triton.rollouts import forget
from slipway.triton.server import DRAIN_S
from slipway.triton.store import Store
from slipway.triton.switching import stop_all, stop_left_over


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__)
    arguments.add_argument("--receipts", type=Path, nargs="+", required=True, help="receipts to withdraw (.json)")
    arguments.add_argument("--state", type=Path, default=local_server.FOLDER, help="folder of the server's state")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Drain and end the server if it is the one that was started here, and one left on trial; withdraw the receipts."""
    with alone(arguments.state):
        stop_left_over(arguments.state)
        running = local_server.running_server(arguments.state)
        if running:
            stop_all(arguments.state, DRAIN_S)
            progress(f"stopped tritonserver (process {running['pid']})")
        else:
            progress("nothing is deployed from this checkout")
        store = Store(arguments.state)
        for path in [*arguments.receipts, *receipts_of_dropped(arguments.receipts, store)]:
            remove(path)
        local_server.forget_state(arguments.state)
        forget(store)


if __name__ == "__main__":
    run(main, parse_arguments())
