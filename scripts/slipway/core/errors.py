"""The exception for errors that the user can act on, and the chain of causes of an error."""

from collections.abc import Iterator
from contextlib import contextmanager


class SlipwayError(Exception):
    """An error that the reader can act on: the problem, its place, and the next step."""


@contextmanager
def amended(before: str = "", after: str = "") -> Iterator[None]:
    """Raise a SlipwayError of the block again, with text before and after its own."""
    try:
        yield
    except SlipwayError as error:
        raise SlipwayError(f"{before}{error}{after}") from None


def listed(items: list[str], most: int) -> str:
    """Return the first `most` items in words, and the number of further ones, such as "a, b and 3 more"."""
    further = len(items) - most
    return ", ".join(items[:most]) + (f" and {further} more" if further > 0 else "")


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, then its cause (or the error during whose handling it was raised), and so on."""
    visited: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in visited:
        visited.add(id(current))
        yield current
        current = current.__cause__ or current.__context__
