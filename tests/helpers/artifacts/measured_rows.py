"""A row of a load test, as its record has them."""


def row(throughput=100.0, p99=50.0, memory=200.0, instances=1, batch=8, **others):
    """Return the measurement of one configuration with four requests in flight."""
    return {
        "precision": "fp32",
        "variant": "m_fp32_config_0",
        "instances": instances,
        "max_batch_size": batch,
        "concurrency": 4,
        "throughput_per_s": throughput,
        "p99_ms": p99,
        "memory_mb": memory,
        "verdict": "steady",
        **others,
    }
