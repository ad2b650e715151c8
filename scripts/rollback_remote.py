"""Put the version that was live before the live one back in its place, elsewhere than here, and prove it again."""

import argparse
from pathlib import Path

from slipway.errors import SlipwayError
from slipway.program import parser, progress, run
from slipway.remote.candidate import FILES
from slipway.remote.kept import Kept
from slipway.remote.places import platform_at
from slipway.remote.proving import announce
from slipway.remote.transaction import deploy
from slipway.repositories.versions import DEPLOYED_AGAIN


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__)
    arguments.add_argument("--to", choices=list(FILES), required=True, help="where the models are deployed")
    arguments.add_argument("--results", type=Path, nargs="+", required=True, help="folders of the models' results")
    arguments.add_argument("--ready-timeout-s", type=float, default=120, help="seconds until a model must be ready")
    arguments.add_argument("--keep-versions", type=int, default=3, help="versions to keep, the live one too")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Go back with every model that is live there."""
    live = [kept for results in arguments.results if (kept := Kept(results, arguments.to)).live()]
    if not live:
        raise SlipwayError(f"nothing is deployed to {arguments.to} from here, so there is nothing to go back from")
    # Of every model before any of them is touched.
    before = [version_before(kept, arguments.to) for kept in live]
    for kept, number in zip(live, before, strict=True):
        go_back(kept, number, arguments)
    progress(f"  {DEPLOYED_AGAIN}")


def version_before(kept: Kept, to: str) -> int:
    """Return the newest proven version that is older than the live one and was not itself rolled back."""
    receipt, rolled_back = kept.live(), kept.rolled_back()
    older = [number for number in kept.proven() if number < receipt["number"] and number not in rolled_back]
    if not older:
        raise SlipwayError(
            f"{receipt['served_as']} has no version before {receipt['number']} that was deployed to {to} and not "
            "rolled back; `deploy.keep_versions` in config.yaml says how many are kept. Nothing was changed"
        )
    return older[-1]


def go_back(kept: Kept, number: int, arguments: argparse.Namespace) -> None:
    """Deploy an older version again, and prove it as a new one is."""
    receipt, published = kept.live(), kept.receipt_of(number)["published"]
    candidate = kept.version(number)
    platform = platform_at(arguments.to, receipt["place"], kept.folder, arguments.ready_timeout_s)
    back = deploy(
        platform, candidate, kept, lambda _: published, arguments.keep_versions, rolled_back_from=receipt["number"]
    )
    progress(f"  {receipt['served_as']}: version {receipt['number']} -> {number}")
    announce(back, candidate.files[0].as_posix())


if __name__ == "__main__":
    run(main, parse_arguments())
