"""Build an engine from an ONNX file, load it again, and write down what it really is.

It needs the standard library and the runtime alone, so it runs under the interpreter that has TensorRT.
"""

import argparse
import contextlib
import json
import time
from importlib import metadata
from pathlib import Path
from types import ModuleType

from slipway.artifacts import read_json, sha256, write_json, written_whole
from slipway.errors import SlipwayError
from slipway.hardware import is_gpu, require_cpu, require_hardware
from slipway.program import parser, progress, run
from slipway.runtimes import RUNTIMES, runtime
from slipway.toolchain import ABSENT, runtime_version

# What may run beside the asked precision, which must still be that of most compute layers.
TOLERATED = {
    "fp32": set(),
    "fp16": {"fp32"},
    "bf16": {"fp32"},
    "int8": {"fp16", "fp32"},
    "fp8": {"fp16", "fp32"},
}


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__)
    arguments.add_argument("--runtime", choices=sorted(RUNTIMES), required=True, help="what builds the engine")
    arguments.add_argument("--runtime-version", required=True, help="the version of it that must do it")
    arguments.add_argument("--precision", choices=sorted(TOLERATED), required=True, help="what the engine computes in")
    arguments.add_argument("--hardware", required=True, help="identity of the CPU or GPU that must do it")
    arguments.add_argument("--cuda", help="the CUDA that the runtime brings")
    arguments.add_argument("--builder", default="{}", help="the builder's settings as JSON")
    arguments.add_argument("--timing-cache", help="file of what the builder measured before on this GPU")
    arguments.add_argument("--onnx", type=Path, required=True, help="ONNX file to build from")
    arguments.add_argument("--onnx-record", type=Path, required=True, help="its record (.json)")
    arguments.add_argument("--engine", type=Path, required=True, help="engine to write")
    arguments.add_argument("--record", type=Path, required=True, help="build record to write")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Check the key, build beside the final name, read the precision back, move into place, record."""
    require_runtime(arguments.runtime, arguments.runtime_version)
    require_machine(arguments)
    exported = read_json(arguments.onnx_record)
    onnx_sha256 = sha256(arguments.onnx)
    if onnx_sha256 != exported["sha256"]:
        raise SlipwayError(f"{arguments.onnx} is not the file of its record: edited or truncated; remove it, run again")
    module = runtime(arguments.runtime)
    files = module.engine_files(arguments.engine)
    with contextlib.ExitStack() as stack:
        partials = [stack.enter_context(written_whole(file)) for file in files]
        built = build(module, partials[0], arguments)
        require_precision(arguments.precision, built["layers"])
    record = {
        "origin": exported["origin"],
        "weights_sha256": exported["weights_sha256"],
        "key": key_of(arguments, onnx_sha256),
        "device": "gpu" if is_gpu(arguments.hardware) else "cpu",
        "input_dtype": exported["input_dtype"],
        "files": {file.name: sha256(file) for file in files},
        "bytes": sum(file.stat().st_size for file in files),
        "onnx_bytes": exported["fp32_bytes"],
        "calibration": exported.get("calibration"),
        **built,
    }
    write_json(arguments.record, record)
    counted = ", ".join(f"{count} {name}" for name, count in built["layers"].items())
    progress(
        f"  built in {built['build_seconds']:.1f} s, {record['bytes'] / 1e6:.0f} MB; compute layers that run: {counted}"
    )


def key_of(arguments: argparse.Namespace, onnx_sha256: str) -> dict:
    """Return everything that the engine depends on."""
    key = {
        "onnx_sha256": onnx_sha256,
        "runtime": arguments.runtime,
        "runtime_version": arguments.runtime_version,
        "precision": arguments.precision,
        "hardware": arguments.hardware,
    }
    return key | ({"cuda": arguments.cuda, "builder": json.loads(arguments.builder)} if arguments.cuda else {})


def build(module: ModuleType, path: Path, arguments: argparse.Namespace) -> dict:
    """Build at `path`; return what was found, with the seconds to build and to load and the layers by precision."""
    options = json.loads(arguments.builder) | {"timing_cache": arguments.timing_cache}
    try:
        start = time.perf_counter()
        found = module.build(arguments.onnx, path, arguments.precision, options)
        built = time.perf_counter()
        layers = found.pop("layers", None) or module.Engine(path, arguments.precision).layers()
    except ValueError as error:
        raise SlipwayError(str(error)) from None
    seconds = {"build_seconds": round(built - start, 3), "load_seconds": round(time.perf_counter() - built, 3)}
    return {"layers": layers, **seconds, **found}


def require_precision(precision: str, layers: dict[str, int]) -> None:
    """Raise SlipwayError unless the layers really run in the precision that was asked for."""
    # A layer whose type the runtime does not tell is no proof of anything; most have to be told.
    strangers = set(layers) - {precision, "unknown"} - TOLERATED[precision]
    if strangers or layers.get(precision, 0) <= sum(layers.values()) / 2:
        raise SlipwayError(
            f"the engine was asked for in {precision}, but its compute layers run in {layers}; this hardware or "
            "runtime has no such kernels: take the precision out of `precisions` in config.yaml"
        )


def require_machine(arguments: argparse.Namespace) -> None:
    """Raise SlipwayError unless this is the planned CPU or GPU; TensorRT for RTX needs none."""
    if arguments.runtime == "tensorrt":
        try:
            found = runtime(arguments.runtime).gpu_here()
        except ValueError as error:
            raise SlipwayError(str(error)) from None
        require_hardware(arguments.hardware, found)
    elif arguments.runtime != "tensorrt_rtx":
        require_cpu(arguments.hardware)


def require_runtime(name: str, declared: str) -> None:
    """Raise SlipwayError unless the installed runtime is the version that the job was planned for."""
    found = installed_version(name)
    if found == ABSENT:
        raise SlipwayError(absence(name))
    if found != declared:
        raise SlipwayError(
            f"this job was planned for {name} {declared}, but {found} runs; run snakemake again, or correct "
            "`tensorrt.version` in config.yaml where it is declared"
        )


def installed_version(name: str) -> str:
    """Return the version of a runtime under this interpreter, or "absent"."""
    if RUNTIMES[name].is_tensorrt:
        return runtime_version(name)
    try:
        return metadata.version(RUNTIMES[name].package)
    except metadata.PackageNotFoundError:
        return ABSENT


def absence(name: str) -> str:
    """Return what to do where a runtime is not installed."""
    if name == "tensorrt":
        return (
            "TensorRT is not installed under this interpreter; install it (pip install tensorrt==<the version of your "
            "Triton release>), or name the interpreter that has it as `tensorrt.python` in config.yaml"
        )
    return f"{name} is not installed here; pip install -r envs/requirements.txt"


if __name__ == "__main__":
    run(main, parse_arguments())
