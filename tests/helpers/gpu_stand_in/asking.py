"""What tests ask of a stand-in engine, and what it has to answer."""

import numpy as np

from .library import CLASSES, CROP, logits_of, text_of, write_engine

TWO_PROFILES = [{"min": 1, "opt": 1, "max": 1}, {"min": 1, "opt": 128, "max": 256}]
SAMPLES = ["gpu", "gpu_graph", "enqueue", "enqueue_graph", "h2d", "d2h", "end_to_end", "end_to_end_graph"]


def write_text_engine(path, ids="INT32", batch=("batch",), tokens="sequence", **options):
    """Write an engine of two inputs with a dynamic sequence, and two outputs; with `batch` () it has no batch axis."""
    return write_engine(
        path,
        inputs={"ids": [ids, [*batch, "sequence"]], "mask": ["BOOL", [*batch, "sequence"]]},
        outputs={"scores": ["FLOAT", [*batch, 2]], "tokens": ["FLOAT", [*batch, tokens]]},
        axes={"sequence": {"min": 1, "opt": 6, "max": 9}},
        **options,
    )


def texts(*shape, seed=0, dtype=np.int64):
    """Return ids and mask of a shape that ends in the length of the sequence."""
    random = np.random.default_rng(seed)
    return {"ids": random.integers(-99, 99, shape, dtype=dtype), "mask": random.random(shape) < 0.7}


def pictures(count, seed=0, dtype=np.float32):
    """Return a batch of random pictures, (count, 3, CROP, CROP)."""
    random = np.random.default_rng(seed)
    shape = (count, 3, CROP, CROP)
    if dtype == np.uint8:
        return random.integers(0, 256, shape, dtype=np.uint8)
    return random.standard_normal(shape, dtype=np.float32)


def logits(engine, batch):
    """Return what an engine of one input answers to a batch."""
    return engine.infer({"input": batch})["logits"]


def logits_of_all(engine, batches):
    """Return what it answers to several requests that run as one."""
    return engine.infer_all([{"input": batch} for batch in batches])["logits"]


def assert_texts(outputs, inputs):
    """Require the answers of an engine of two inputs."""
    for name, values in text_of(**inputs).items():
        assert outputs[name].dtype == np.float32
        np.testing.assert_array_equal(outputs[name], values, name)


def assert_answers(logits, batch):
    """Require the logits of the pictures of a batch."""
    assert (logits.shape, logits.dtype) == ((len(batch), CLASSES), np.float32)
    np.testing.assert_allclose(logits, logits_of(batch), rtol=1e-4, atol=1e-3)
