"""The limits that a configuration is chosen under, and whether a measurement of the load test holds them."""


def holds(row: dict, p99_limit_ms: float, memory_limit_mb: float | None) -> bool:
    """Say whether a measurement is within the limits; None is no limit, and memory that was not seen holds none."""
    used = counted_memory_mb(row)
    fits = memory_limit_mb is None or (used is not None and used <= memory_limit_mb)
    return row["p99_ms"] <= p99_limit_ms and fits


def counted_memory_mb(row: dict) -> float | None:
    """Return the memory of a measurement that a limit is about: the GPU's on a GPU target, else the processes'."""
    return row["gpu_memory_mb"] if "gpu_memory_mb" in row else row["memory_mb"]
