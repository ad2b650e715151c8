"""Recordings of three gestures: circles, waves and taps, of 24 to 80 readings."""

from collections.abc import Iterator

import numpy as np

GESTURES = ("circle", "wave", "tap")
RECORDINGS = 63
LENGTHS = (24, 40, 80)


def recordings() -> Iterator[tuple[np.ndarray, int]]:
    """Yield readings (time, 3) and the index of their gesture."""
    random = np.random.default_rng(0)
    for index in range(RECORDINGS):
        time = np.linspace(0, 2 * np.pi * random.uniform(2, 3), random.choice(LENGTHS))
        motions = {
            "circle": (np.sin(time), np.cos(time), 0 * time),
            "wave": (np.sin(2 * time), 0 * time, 0 * time),
            "tap": (0 * time, 0 * time, np.abs(np.sin(time)) ** 8),
        }
        gesture = index % len(GESTURES)
        motion = np.stack(motions[GESTURES[gesture]], axis=1) + 0.1 * random.normal(size=(len(time), 3))
        yield motion.astype(np.float32), gesture


def samples() -> Iterator[dict[str, np.ndarray]]:
    """Yield the inputs of one recording each."""
    for motion, _ in recordings():
        yield {"motion": motion[None]}
