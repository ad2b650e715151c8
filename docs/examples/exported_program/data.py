"""Days of a power grid: the load of 24 to 96 hours, the temperatures of the next 6, and their load."""

from collections.abc import Iterator

import numpy as np

DAYS, AHEAD = 64, 6
LENGTHS = (24, 48, 96)


def days() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield the load of the hours before, the temperatures to come / 10, and the load to come."""
    random = np.random.default_rng(0)
    for index in range(DAYS):
        hours = np.arange(LENGTHS[index % len(LENGTHS)] + AHEAD) + random.integers(0, 24)
        temperature = 1 + np.sin(hours / 24 * 2 * np.pi) + random.normal()
        load = random.uniform(0.5, 1.5) + 0.3 * np.cos(hours / 12 * np.pi) + 0.2 * np.abs(temperature - 1.5)
        past, ahead = (part.astype(np.float32) for part in (load[:-AHEAD], load[-AHEAD:]))
        yield past, temperature[-AHEAD:].astype(np.float32), ahead


def samples() -> Iterator[dict[str, np.ndarray]]:
    """Yield the inputs of one day each."""
    for history, temperature, _ in days():
        yield {"history": history[None], "temperature": temperature[None]}
