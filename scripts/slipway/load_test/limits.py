"""The limits for the choice of a configuration, the check of a load test's measurement against them, its batches."""


def holds(row: dict, p99_limit_ms: float, memory_limit_mb: float | None) -> bool:
    """Return whether a measurement is within the limits. None is no limit; unknown memory is within none."""
    used = counted_memory_mb(row)
    fits = memory_limit_mb is None or (used is not None and used <= memory_limit_mb)
    return row["p99_ms"] <= p99_limit_ms and fits


def counted_memory_mb(row: dict) -> float | None:
    """Return the memory (MB) that the limit applies to: the GPU's on a GPU target, else the processes'."""
    return row["gpu_memory_mb"] if "gpu_memory_mb" in row else row["memory_mb"]


def batches_in_words(max_batch_size: int) -> str:
    """Return a configuration's batches in words. Triton states 0 if the model has no batch axis."""
    return f"batches up to {max_batch_size}" if max_batch_size else "no batches"


def samples_in_a_run(max_batch_size: int) -> int:
    """Return how many samples an instance computes at once: one if there are no batches."""
    return max(1, max_batch_size)
