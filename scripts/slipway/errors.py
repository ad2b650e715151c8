"""The one exception that Slipway's programs raise on purpose."""


class SlipwayError(Exception):
    """Something the reader can act on: what was wrong, where, and what to do now."""
