"""What Prometheus would have read of a Triton server, in the notation of promtool's tests."""

import re

STEP_S = 15
MODEL = "resnet50_trt"
IT = f'model="{MODEL}",version="1"'
A, B = 'instance="a:8002",job="triton"', 'instance="b:8002",job="triton"'


def expressions(dashboard):
    """Return every PromQL expression of a dashboard."""
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]


def minutes(number):
    """Return how many steps of the series make so many minutes."""
    return int(number * 60 / STEP_S)


def steady(value, number=180):
    """Return the notation of a value that stays, for so many minutes."""
    return f"{value}x{minutes(number)}"


def unknown(number=180):
    """Return the notation of what a summary says without requests."""
    return " ".join(["NaN"] * minutes(number))


def growing(per_step, number=180, start=0):
    """Return the notation of a counter that grows, for so many minutes."""
    return f"{start}+{per_step}x{minutes(number)}"


def healthy(at=A, **changed):
    """Return the series of a server that answers 20 requests a second as it should, some of them changed.

    Counters are those of 300 requests a step: each waits 10 ms and takes 51 ms.
    """
    series = {
        "up": (at, steady(1)),
        "success": (f"{at},{IT}", growing(300)),
        "failure": (f'{at},{IT},reason="BACKEND"', steady(0)),
        "count": (f"{at},{IT}", growing(300)),
        "exec_count": (f"{at},{IT}", growing(150)),
        "request_duration_us": (f"{at},{IT}", growing(61_000 * 300)),
        "queue_duration_us": (f"{at},{IT}", growing(10_000 * 300)),
        "compute_input_duration_us": (f"{at},{IT}", growing(500 * 300)),
        "compute_infer_duration_us": (f"{at},{IT}", growing(50_000 * 300)),
        "compute_output_duration_us": (f"{at},{IT}", growing(500 * 300)),
        "pending_request_count": (f"{at},{IT}", steady(3)),
        "p99": (f'{at},{IT},quantile="0.99"', steady(100_000)),
        "gpu_used": (f'{at},gpu_uuid="GPU-1"', steady(2e9)),
        "gpu_total": (f'{at},gpu_uuid="GPU-1"', steady(24e9)),
    }
    names = {
        "up": "up",
        "success": "nv_inference_request_success",
        "failure": "nv_inference_request_failure",
        "p99": "nv_inference_request_summary_us",
        "gpu_used": "nv_gpu_memory_used_bytes",
        "gpu_total": "nv_gpu_memory_total_bytes",
    }
    return [
        {"series": f"{names.get(name, f'nv_inference_{name}')}{{{labels}}}", "values": changed.get(name, values)}
        for name, (labels, values) in series.items()
        if changed.get(name, values)
    ]


def gone_after(number, at=A):
    """Return the series of a server that stops after so many minutes."""
    ended = {"up": f"{steady(1, number)} {steady(0)}"}
    series = healthy(at, **ended)
    return [
        one if one["series"].startswith("up") else {**one, "values": shortened(one["values"], number)} for one in series
    ]


def shortened(values, number):
    return re.sub(r"x\d+$", f"x{minutes(number)} stale", values)


def unloaded_after(number, at=A):
    """Return the series of a server that runs on, but without the model."""
    return [{**one, "values": steady(1)} if one["series"].startswith("up") else one for one in gone_after(number, at)]
