"""A selection and a repository's index, as the workflow writes them, for what is made of them."""

from slipway.core.artifacts import sha256, write_json

CPU, GPU = "AMD EPYC [avx2] x2", "NVIDIA L4 (compute capability 8.9)"
FIGURES = {"concurrency": 4, "throughput_per_s": 17.4, "p99_ms": 400.0, "queue_ms": 41.3, "compute_ms": 182.3}
MEASURED = FIGURES | {"verdict": "steady"}


# The highest rate that the open loop held.
CAPACITY = {
    "capacity_per_s": 25.0,
    "holds_at": {"sent_per_s": 25.0, "p99_ms": 480.0, "queue_ms": 90.0, "compute_ms": 180.0, "verdict": "steady"},
    "breaks_at": None,
    "verdict": "steady",
}


def write_promise(
    folder, model="resnet50_trt", hardware=CPU, origin="checkpoint", capacity=None, p99_limit_ms=1000.0, **measured
):
    """Write selection.json and repository.json below `folder`; return their paths."""
    selection, index = folder / "selection.json", folder / "repository.json"
    chosen = {"max_batch_size": 8, "instances": 2, "limits": {"p99_ms": p99_limit_ms, "memory_mb": None}}
    write_json(selection, {"origin": origin, **chosen, "measured": MEASURED | measured, "capacity": capacity})
    chain = {"weights_sha256": "17a0c26ae094" + "0" * 52, "selection_sha256": sha256(selection)}
    write_json(index, {"origin": origin, "name": model, "chain": chain, "engine_key": {"hardware": hardware}})
    return selection, index
