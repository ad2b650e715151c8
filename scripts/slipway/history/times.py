"""The time of a line of the history."""

import datetime


def now() -> str:
    """Return the time in UTC, such as 2026-01-31T12:00:00Z."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
