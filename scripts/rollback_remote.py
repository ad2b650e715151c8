"""Serve the version before the live one again, in a cluster or with Compose, and prove it again."""

import argparse
from pathlib import Path

from slipway.core.cli import parser, progress, run
from slipway.core.errors import SlipwayError
from slipway.deploy.platform import platform_at
from slipway.deploy.platforms import PLATFORMS
from slipway.deploy.release import Part
from slipway.deploy.release_history import ReleaseHistory
from slipway.deploy.transaction import deploy
from slipway.deploy.verification import announce
from slipway.triton.repository.publishing import require_published
from slipway.triton.repository.versions import DEPLOYED_AGAIN


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__)
    arguments.add_argument("--to", choices=list(PLATFORMS), required=True, help="where the models are deployed")
    arguments.add_argument("--results", type=Path, nargs="+", required=True, help="folders of the models' results")
    arguments.add_argument("--ready-timeout-s", type=float, default=120, help="seconds until a model must be ready")
    arguments.add_argument("--keep-versions", type=int, default=3, help="versions to keep, the live one too")
    arguments.add_argument("--public-key", type=Path, help="key that every version must be signed with (.pem)")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Roll back every model that is live there."""
    live = [history for results in arguments.results if (history := ReleaseHistory(results, arguments.to)).live()]
    if not live:
        raise SlipwayError(f"nothing is deployed to {arguments.to} from here, so there is nothing to go back from")
    # Check every model before any of them changes.
    earlier = [version_before(history, arguments.to) for history in live]
    for history, number in zip(live, earlier, strict=True):
        require_unchanged(history, number, arguments.public_key)
    for history, number in zip(live, earlier, strict=True):
        roll_back(history, number, arguments)
    progress(f"  {DEPLOYED_AGAIN}")


def version_before(history: ReleaseHistory, to: str) -> int:
    """Return the number of the rollback target: the newest older version that is proven and was not rolled back.

    After a killed deployment, it is the version that was live before that deployment.
    """
    receipt, rolled_back, begun = history.live(), history.rolled_back(), history.begun()
    if begun and begun["number"] != receipt["number"]:
        return receipt["number"]
    older = [number for number in history.proven() if number < receipt["number"] and number not in rolled_back]
    if not older:
        raise SlipwayError(
            f"{receipt['served_as']} has no version before {receipt['number']} that was deployed to {to} and not "
            "rolled back; `deploy.keep_versions` in config.yaml says how many are kept. Nothing was changed"
        )
    return older[-1]


def require_unchanged(history: ReleaseHistory, number: int, public_key: Path | None) -> None:
    """Raise SlipwayError unless a version is unchanged since its deployment, both stored and published."""
    on_this_machine = PLATFORMS[history.folder.name].on_this_machine
    try:
        history.require_whole(number)
        for part in history.version(number).parts:
            published = history.receipt_of(number).get("published", {}).get(part.target, {"published": False})
            if published["published"]:
                require_published(published["destination"], published["version"], part.index_content, public_key)
            elif on_this_machine and public_key:
                require_signed(part, public_key)
            elif not on_this_machine:
                progress(f"  {part.target}: not compared, since Slipway did not publish it: {published.get('why', '')}")
    except SlipwayError as error:
        raise SlipwayError(
            f"{error}. Nothing was changed, and what is live serves on: `snakemake --cores 1 deploy` serves what "
            "config.yaml says; to go back, put the earlier checkpoint or setting there"
        ) from None


def require_signed(part: Part, public_key: Path) -> None:
    """Raise SlipwayError unless a stored repository has a signature that the public key verifies."""
    from slipway.triton.repository.signing import verify_repository  # only here, since it takes half a second to import

    verify_repository(part.repository.parent, public_key, part.signature)


def roll_back(history: ReleaseHistory, number: int, arguments: argparse.Namespace) -> None:
    """Deploy an older version again, and prove it like a new one."""
    receipt, published, begun = history.live(), history.receipt_of(number)["published"], history.begun()
    replaced = begun["number"] if begun else receipt["number"]
    release = history.version(number)
    platform = platform_at(arguments.to, receipt["place"], history.folder, arguments.ready_timeout_s)
    new_receipt = deploy(
        platform, release, history, lambda _: published, arguments.keep_versions, rolled_back_from=replaced
    )
    progress(f"  {receipt['served_as']}: version {replaced} -> {number}")
    announce(new_receipt, release.files[0].as_posix())


if __name__ == "__main__":
    run(main, parse_arguments())
