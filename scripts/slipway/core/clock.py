"""The current time, as text for records."""

import datetime


def utc_now() -> str:
    """Return the current time in UTC, to the second, such as "2026-11-29T07:51:14+00:00"."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
