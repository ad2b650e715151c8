"""Lines of a history, as runs and deployments write them."""

import copy

from slipway.history.changes import targets_of
from slipway.history.lines import RUN, key_of
from slipway.history.recording import identity_of

CPU = "AMD EPYC [avx2 avx512f] x4"
ACCURACY = {"agreement": 0.99, "relative_error": 1e-5, "top1": 0.85, "samples": 250, "data": "d" * 64, "metric": {}}


def around(value, share=0.02):
    """Return a figure with an interval that is as wide as twice this share of it."""
    return {"value": value, "low": value * (1 - share), "high": value * (1 + share)}


def batches(latency_ms, verdict="steady"):
    """Return the figures of a benchmark at batch 1."""
    figures = {"latency_ms": around(latency_ms), "throughput_per_s": around(1000 / latency_ms)}
    return {"1": {**figures, "quantity": "end_to_end", "verdict": verdict}}


def selection_of(number):
    """Return the SHA-256 of the selection of the run with this number."""
    return key_of(["selection", number])


def run(number, when="2026-01-05T09:00:00Z", latency_ms=10.0, verdict="steady", **changes):
    """Return the line of a run. `changes` are entries such as `targets__cpu__hardware`, with their values."""
    engine = {
        "build": {"way": "cold", "seconds": 3.5},
        "bytes": 1_000_000,
        "memory_bytes": None,
        "batches": batches(latency_ms, verdict),
        "accuracy": dict(ACCURACY),
    }
    selection = {
        **{"precision": "fp32", "max_batch_size": 8, "instances": 1, "in_flight": 4, "p99_ms": 2 * latency_ms},
        "p99_interval_ms": [1.9 * latency_ms, 2.1 * latency_ms],
        **{"throughput_per_s": around(1000 / latency_ms), "memory_mb": 200.0, "verdict": verdict},
    }
    line = {
        "model": "tiny",
        "checkpoint": {"sha256": f"{number:064x}", "origin": "checkpoint"},
        "slipway": {"version": "0.1.0", "commit": "65bae21"},
        "torch": "2.9.1",
        "accuracy": dict(ACCURACY),
        "targets": {
            "cpu": {
                "hardware": CPU,
                "threads": 4,
                "runtime": {"name": "openvino", "version": "2026.0"},
                "server": {"name": "nvidia-pytriton", "version": "0.7.0"},
                "engines": {"fp32": engine},
                "baseline": {"subject": "pytorch", "batches": batches(2 * latency_ms)},
                "selection": selection,
                "records": {kind: key_of([kind, number]) for kind in ("benchmark", "load_test", "selection")},
            }
        },
    }
    line = copy.deepcopy(line)
    for path, value in changes.items():
        *parents, last = path.split("__")
        section = line
        for name in parents:
            section = section[name]
        section[last] = value
    return {"kind": RUN, "key": key_of(identity_of(line)), "when": when, **line}


def receipt(line, number, when="2026-01-05T10:00:00+00:00", to="local", **more):
    """Return the receipt of a deployment of what a run chose, as far as the history reads it."""
    selection = line["targets"]["cpu"]["records"]["selection"]
    index = {"repository_index_sha256": "b" * 64}
    chain = {"weights_sha256": line["checkpoint"]["sha256"], "selection_sha256": selection, **index}
    entry = {"version": f"v{number:012x}", "chain": chain, "smoke_test": {"server_version": "2.51.0", "outputs": {}}}
    return {"model": "tiny", "to": to, "number": number, "deployed_at": when, "targets": {"cpu": entry}, **more}


def served_of(line, number):
    """Return the targets of the deployment's line."""
    return targets_of(receipt(line, number))
