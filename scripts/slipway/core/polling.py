"""Call a function repeatedly in a thread while a block runs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def polling(call: Callable[[], object], interval_s: float, name: str) -> Iterator[None]:
    """Context manager: call a function every `interval_s` seconds in a thread called `name`, until the block ends."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(interval_s):
            call()

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
