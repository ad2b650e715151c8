"""Build an engine from an ONNX file, load it again, and write down what it really is."""

import argparse
import contextlib
import time
from importlib import metadata
from pathlib import Path
from types import ModuleType

from slipway.artifacts import read_json, sha256, write_json, written_whole
from slipway.errors import SlipwayError
from slipway.hardware import require_cpu
from slipway.program import parser, progress, run
from slipway.runtimes import RUNTIMES, runtime

# What may run beside the asked precision: a bf16 engine keeps in FP32 what has no bf16 kernel.
TOLERATED = {"fp32": set(), "bf16": {"fp32"}}


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__)
    arguments.add_argument("--runtime", choices=sorted(RUNTIMES), required=True, help="what builds the engine")
    arguments.add_argument("--runtime-version", required=True, help="the version of it that must do it")
    arguments.add_argument("--precision", choices=sorted(TOLERATED), required=True, help="what the engine computes in")
    arguments.add_argument("--hardware", required=True, help="identity of the CPU that must do it")
    arguments.add_argument("--onnx", type=Path, required=True, help="ONNX file to build from")
    arguments.add_argument("--onnx-record", type=Path, required=True, help="its record (.json)")
    arguments.add_argument("--engine", type=Path, required=True, help="engine to write")
    arguments.add_argument("--record", type=Path, required=True, help="build record to write")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Check the key, build beside the final name, read the precision back, move into place, record."""
    require_cpu(arguments.hardware)
    require_runtime(arguments.runtime, arguments.runtime_version)
    exported = read_json(arguments.onnx_record)
    onnx_sha256 = sha256(arguments.onnx)
    if onnx_sha256 != exported["sha256"]:
        raise SlipwayError(f"{arguments.onnx} is not the file of its record: edited or truncated; remove it, run again")
    module = runtime(arguments.runtime)
    files = module.engine_files(arguments.engine)
    with contextlib.ExitStack() as stack:
        partials = [stack.enter_context(written_whole(file)) for file in files]
        build_seconds, load_seconds, layers = build(module, arguments.onnx, partials[0], arguments.precision)
        require_precision(arguments.precision, layers)
    record = {
        "origin": exported["origin"],
        "weights_sha256": exported["weights_sha256"],
        "key": {
            "onnx_sha256": onnx_sha256,
            "runtime": arguments.runtime,
            "runtime_version": arguments.runtime_version,
            "precision": arguments.precision,
            "hardware": arguments.hardware,
        },
        "files": {file.name: sha256(file) for file in files},
        "bytes": sum(file.stat().st_size for file in files),
        "onnx_bytes": exported["bytes"],
        "layers": layers,
        "build_seconds": round(build_seconds, 3),
        "load_seconds": round(load_seconds, 3),
    }
    write_json(arguments.record, record)
    counted = ", ".join(f"{count} {name}" for name, count in layers.items())
    progress(f"  built in {build_seconds:.1f} s, {record['bytes'] / 1e6:.0f} MB; compute layers that run: {counted}")


def build(module: ModuleType, onnx: Path, path: Path, precision: str) -> tuple[float, float, dict[str, int]]:
    """Build at `path` and load from there; return seconds to build, seconds to load, layers by precision."""
    try:
        start = time.perf_counter()
        module.build(onnx, path, precision)
        built = time.perf_counter()
        layers = module.Engine(path, precision).layers()
    except ValueError as error:
        raise SlipwayError(str(error)) from None
    return built - start, time.perf_counter() - built, layers


def require_precision(precision: str, layers: dict[str, int]) -> None:
    """Raise SlipwayError unless the layers really run in the precision that was asked for."""
    strangers = set(layers) - {precision} - TOLERATED[precision]
    if not layers.get(precision) or strangers:
        raise SlipwayError(
            f"the engine was asked for in {precision}, but its compute layers run in {layers}; this hardware or "
            "runtime has no such kernels: take the precision out of `precisions` in config.yaml"
        )


def require_runtime(name: str, declared: str) -> None:
    """Raise SlipwayError unless the installed runtime is the version that the job was planned for."""
    try:
        found = metadata.version(RUNTIMES[name].package)
    except metadata.PackageNotFoundError:
        raise SlipwayError(f"{name} is not installed here; pip install -r envs/requirements.txt") from None
    if found != declared:
        raise SlipwayError(f"this job was planned for {name} {declared}, but {found} runs; run snakemake again")


if __name__ == "__main__":
    run(main, parse_arguments())
