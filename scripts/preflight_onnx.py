"""Check without a GPU whether TensorRT parses and builds ONNX files, with TensorRT for RTX's real builder."""

import argparse
import json
import tempfile
import time
from pathlib import Path

from slipway.core.artifacts import record_of_onnx, write_json
from slipway.core.cli import parser, progress, run
from slipway.core.errors import SlipwayError
from slipway.core.job_settings import settings_of
from slipway.core.packages import require_runtime
from slipway.core.setting_options import add_settings
from slipway.keys.optimization_profiles import dynamic_axes
from slipway.runtimes import runtime


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options. The lists have one entry per ONNX file, in the same order."""
    arguments = parser(__doc__, "onnx_records", "output")
    arguments.add_argument("--onnx", type=Path, nargs="+", required=True, help="ONNX files to try")
    add_settings(arguments, "preflight", "compute_capability")
    arguments.add_argument("--profiles", default='[{"min": 1, "opt": 8, "max": 32}]', help="batch sizes as JSON")
    arguments.add_argument("--tensorrt-rtx-version", help="required version of TensorRT for RTX")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Try every file and print each verdict. At the end, raise SlipwayError if a file cannot be built."""
    version = require_runtime("tensorrt_rtx", arguments.tensorrt_rtx_version)
    options = {
        "profiles": json.loads(arguments.profiles),
        "workspace_mb": 2048,
        "optimization_level": 3,
        "tf32": False,
        "tactic_sources": None,
        "compatibility": "none",
        "compute_capability": arguments.compute_capability,
    }
    records = [record_of_onnx(*files) for files in zip(arguments.onnx, arguments.onnx_records, strict=True)]
    verdicts = {
        record["variant"]: verdict_on(onnx, options | dynamic_axes(record))
        for onnx, record in zip(arguments.onnx, records, strict=True)
    }
    for variant, verdict in verdicts.items():
        progress(f"  {variant}: {in_words(verdict)}")
    failed = [variant for variant, verdict in verdicts.items() if verdict["problem"]]
    if failed:
        raise SlipwayError(f"{len(failed)} of {len(verdicts)} ONNX files do not build: {', '.join(failed)}; see above")
    record = {
        "origin": records[0]["origin"],
        "key": settings_of(arguments),
        "tensorrt_rtx": version,
        "compute_capability": arguments.compute_capability,
        "profiles": options["profiles"],
        "onnx_sha256": {record["variant"]: record["sha256"] for record in records},
        "verdicts": verdicts,
    }
    write_json(arguments.output, record)


def verdict_on(onnx: Path, options: dict) -> dict:
    """Build a trial engine of an ONNX file with TensorRT for RTX. Return the verdict.

    It is {"problem": None, "seconds", "bytes", "layers"}, or {"problem": the reason of the failure}. `options` are
    those of `build` of the runtime.
    """
    with tempfile.TemporaryDirectory(prefix="slipway-preflight-") as folder:
        engine = Path(folder) / "trial.rtx"
        start = time.perf_counter()
        try:
            facts = runtime("tensorrt_rtx").build(onnx, engine, "fp32", options)
        except ValueError as error:
            return {"problem": str(error)}
        return {
            "problem": None,
            "seconds": round(time.perf_counter() - start, 3),
            "bytes": engine.stat().st_size,
            "layers": facts["layers"],
        }


def in_words(verdict: dict) -> str:
    """Return in words whether the ONNX file can be built. `verdict` is the dict of `verdict_on`."""
    if verdict["problem"]:
        return f"DOES NOT BUILD: {verdict['problem']}"
    counted = ", ".join(f"{count} {name}" for name, count in verdict["layers"].items()) or "none"
    return f"builds, {verdict['bytes'] / 1e6:.0f} MB in {verdict['seconds']:.1f} s; compute layers {counted}"


if __name__ == "__main__":
    run(main, parse_arguments())
