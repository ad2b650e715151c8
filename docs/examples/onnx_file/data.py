"""scikit-learn's digits: 8 x 8 pixels from 0 to 16, in rows of 64 values."""

from collections.abc import Iterator

import numpy as np

PIXELS = 64
# One digit of so many is a sample. The others are trained on.
EACH = 17


def digits(held_out: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the digits to train on, or those held out: pixels (N, 64) in float32, and which digit each is (N,)."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    chosen = (np.arange(len(pixels)) % EACH == 0) == held_out
    return pixels[chosen].astype(np.float32), labels[chosen]


def samples() -> Iterator[dict[str, np.ndarray]]:
    """Yield the digits that were held out: the pixels (1, 64), and for the metric the digit (1,)."""
    for pixels, label in zip(*digits(held_out=True), strict=True):
        yield {"pixels": pixels[None], "digit": label[None]}
