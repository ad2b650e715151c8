"""The exception for errors that the user can act on, and the chain of causes of an error."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class SlipwayError(Exception):
    """An error that the reader can act on: the problem, its place, and the next step."""


@contextmanager
def amended(before: str = "", after: str = "") -> Iterator[None]:
    """Raise a SlipwayError of the block again, with `before` and `after` around its text."""
    try:
        yield
    except SlipwayError as error:
        raise SlipwayError(f"{before}{error}{after}") from None


@contextmanager
def explained_by(why: Callable[[Exception], str]) -> Iterator[None]:
    """Raise an exception of the block as a SlipwayError with the sentence why(error), and log its traceback.

    A SlipwayError is raised as it is.
    """
    try:
        yield
    except SlipwayError:
        raise
    except Exception as error:  # users and libraries can raise any exception
        traceback.print_exc()
        raise SlipwayError(why(error)) from None


def listed(items: list[str], most: int) -> str:
    """Return the first `most` items in words, and the number of further items, such as "a, b and 3 more"."""
    further = len(items) - most
    return ", ".join(items[:most]) + (f" and {further} more" if further > 0 else "")


def causes(error: BaseException | None) -> list[BaseException]:
    """Return an error, its cause (or the error during whose handling it was raised), the cause of that, and so on."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain
