"""A deadline that the calls of one question share."""

import time


class Deadline:
    """The end of a question: each of its calls may take the rest of the time."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left_s(self) -> float:
        """Return the rest of the time in seconds, at least 0."""
        return max(0.0, self._end - time.monotonic())
