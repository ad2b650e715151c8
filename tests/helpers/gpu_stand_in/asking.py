"""What tests ask of a stand-in engine, and what it has to answer."""

import numpy as np

from .library import CLASSES, CROP, logits_of

TWO_PROFILES = [{"min": 1, "opt": 1, "max": 1}, {"min": 1, "opt": 128, "max": 256}]
SAMPLES = ["gpu", "gpu_graph", "enqueue", "enqueue_graph", "h2d", "d2h", "end_to_end", "end_to_end_graph"]


def pictures(count, seed=0, dtype=np.float32):
    """Return a batch of random pictures, (count, 3, CROP, CROP)."""
    random = np.random.default_rng(seed)
    shape = (count, 3, CROP, CROP)
    if dtype == np.uint8:
        return random.integers(0, 256, shape, dtype=np.uint8)
    return random.standard_normal(shape, dtype=np.float32)


def assert_answers(logits, batch):
    """Require the logits of the pictures of a batch."""
    assert (logits.shape, logits.dtype) == ((len(batch), CLASSES), np.float32)
    np.testing.assert_allclose(logits, logits_of(batch), rtol=1e-4, atol=1e-3)
