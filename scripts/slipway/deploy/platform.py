"""What a transaction asks of the place that it deploys to."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from slipway.deploy.release import Release
from slipway.triton.server.tritonserver import Ports


@dataclass(frozen=True)
class Known:
    """What this checkout knows of a place: the receipt of what is live there and that version itself, as it was kept.

    Of a deployment that was killed, `left` is what it had found there before, `attempted` what it was about to put in
    its place: what is there now and came from `attempted` was never proven, so `left` has what to go back to.
    """

    live: dict | None = None
    good: Release | None = None
    left: dict | None = None
    attempted: Release | None = None


class Platform(Protocol):
    """A place to deploy to. Each method raises SlipwayError saying what is wrong there and what to do."""

    def alone(self) -> AbstractContextManager[None]:
        """Keep a second deployment of the model out of the place while the block runs."""

    def preflight(self, candidate: Release, known: Known) -> dict:
        """Return what was found to be in order; raise SlipwayError on what would fail. Nothing is changed."""

    def previous(self, candidate: Release, known: Known) -> dict:
        """Return what is there now, for `go_back`. It is kept as JSON until the transaction has ended."""

    def start(self, candidate: Release, before: dict) -> None:
        """Make the place run the candidate, or begin to."""

    def wait(self, candidate: Release) -> None:
        """Return when the candidate is ready on every target; raise SlipwayError when it will not be."""

    def reach(self, candidate: Release) -> AbstractContextManager[dict[str, Ports]]:
        """Yield where each target's new server can be asked from here."""

    def finish(self, candidate: Release, before: dict) -> None:
        """Remove what only the version before needed, now that the candidate is proven."""

    def go_back(self, candidate: Release, before: dict) -> str:
        """Make the place what it was before; return in sentences what serves there now."""

    def place(self) -> dict:
        """Return where it is, for receipts."""

    def contents(self, candidate: Release) -> dict:
        """Return what a receipt has to hold for `remove` and `describe`."""

    def remove(self, contents: dict) -> list[str]:
        """Remove what a receipt has as its contents; return the names of what was there."""

    def describe(self, contents: dict) -> list[str]:
        """Return in lines how what a receipt has as its contents is doing, as the place says."""
