"""Recordings of 0.25 to 4 seconds: noise, in which a voice with harmonics begins and ends."""

from collections.abc import Iterator

import numpy as np

RECORDINGS, RATE = 48, 8000


def recordings() -> Iterator[tuple[np.ndarray, int, int]]:
    """Yield a waveform (time,) with the first and the last sample of its voice."""
    random = np.random.default_rng(0)
    for _ in range(RECORDINGS):
        time = int(RATE * random.uniform(0.25, 4))
        start, end = np.sort(random.integers(0, time, 2))
        seconds, pitch = np.arange(time) / RATE, random.uniform(90, 250)
        voice = sum(np.sin(2 * np.pi * pitch * harmonic * seconds) / harmonic for harmonic in range(1, 9))
        heard = (np.arange(time) >= start) & (np.arange(time) < end)
        waveform = 0.2 * voice * heard + 0.02 * random.standard_normal(time)
        yield waveform.clip(-1, 1).astype(np.float32), int(start), int(end)


def samples() -> Iterator[dict[str, np.ndarray]]:
    """Yield one recording each."""
    for waveform, _, _ in recordings():
        yield {"waveform": waveform[None]}
