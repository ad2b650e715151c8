"""The versions and the machine of a target's measurements."""

from slipway.report.measurements import Measurements, Target

# {entry of the benchmark's environment: its name}
_ENVIRONMENT = {
    "torch": "PyTorch",
    "onnxruntime": "ONNX Runtime",
    "cuda": "CUDA",
    "python": "Python",
    "platform": "platform",
}
# {entry of the load test's key: its name}
_LOAD_TEST = {
    "pytriton_version": "nvidia-pytriton (its Triton)",
    "perf_analyzer_version": "perf_analyzer",
    "model_analyzer_version": "Model Analyzer",
}


def versions(target: Target, evidence: Measurements) -> dict[str, str]:
    """Return {name: version} of the hardware, programs and packages in the records of a target."""
    key, measured = target.chosen.build["key"], target.benchmark["environment"]
    driver = (measured.get("gpu") or {}).get("driver")
    runs = [run.content["slipway"] for run in evidence.history.runs if target.name in run.targets]
    versions = {
        "hardware": key["hardware"],
        "threads": measured.get("threads"),
        "driver": driver,
        key["runtime"]: key["runtime_version"],
        **{name: measured.get(entry) for entry, name in _ENVIRONMENT.items()},
        **({} if evidence.contract.baseline == "PyTorch" else {"PyTorch": None}),
        **{name: target.load_test.get("key", {}).get(entry) for entry, name in _LOAD_TEST.items()},
        "Slipway": " ".join(filter(None, runs[-1].values())) if runs else None,
        "load test": evidence.measured_at and target.load_test.get("measured_at"),
    }
    return {name: str(value) for name, value in versions.items() if value}
