"""The exception for errors that the user can act on, and the chain of causes of an error."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class SlipwayError(Exception):
    """An error that the user can act on. Its text says the problem, the place of the problem, and the next step."""


@contextmanager
def amended(before: str = "", after: str = "") -> Iterator[None]:
    """Context manager: if the block raises a SlipwayError, raise it with `before` and `after` around its text."""
    try:
        yield
    except SlipwayError as error:
        raise SlipwayError(f"{before}{error}{after}") from None


@contextmanager
def explained_by(why: Callable[[Exception], str]) -> Iterator[None]:
    """Context manager: if the block raises an exception, raise a SlipwayError with the text why(exception).

    The traceback of the exception goes to the log. A SlipwayError is raised unchanged.
    """
    try:
        yield
    except SlipwayError:
        raise
    except Exception as error:  # users and libraries can raise any exception
        traceback.print_exc()
        raise SlipwayError(why(error)) from None


def listed(items: list[str], most: int) -> str:
    """Return `items` as text, such as "a, b and 3 more". At most `most` items are named; further items are counted."""
    further = len(items) - most
    return ", ".join(items[:most]) + (f" and {further} more" if further > 0 else "")


def causes(error: BaseException | None) -> list[BaseException]:
    """Return [error, its cause, the cause of the cause, ...]; [] for None.

    If an error has no cause, the error that was being handled when it was raised counts as its cause.
    """
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain
