"""The exception that Slipway's programs raise on purpose, and the chain of errors that an error comes from."""

from collections.abc import Iterator


class SlipwayError(Exception):
    """Something the reader can act on: what was wrong, where, and what to do now."""


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, then its cause or the error that it followed, and so on."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__ or each.__context__
