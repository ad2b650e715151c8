"""Make an engine from an ONNX file by the fastest strategy that passes the gates, and record its properties.

An engine with the same key and the same code is kept. If only weights changed, the existing engine is refitted
(`tensorrt.refit`). Otherwise an engine is built with the timing cache. The new engine is compared with PyTorch's
outputs and with the existing engine's speed. After a failed comparison, the next slower strategy follows.

This program needs only the standard library, NumPy and the runtime, so it runs in the interpreter that has TensorRT.
"""

import argparse
import json
import os
from pathlib import Path

from slipway.core.artifacts import atomic_write_together, record_of_onnx, sha256, write_json
from slipway.core.cli import parser, progress, run
from slipway.core.errors import SlipwayError
from slipway.core.hardware import is_gpu, require_hardware
from slipway.core.packages import require_runtime
from slipway.engines.build_strategy import COLD, IN_WORDS, TOLERATED, Job, build_history, is_current, job_of, make
from slipway.engines.recorded_engine import RecordedEngine
from slipway.keys.code_hash import CodeHashes, digest
from slipway.keys.optimization_profiles import dynamic_axes
from slipway.runtimes import RUNTIMES, engine_files, runtime


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    common = ("hardware", "onnx_record", "record")
    arguments = parser(__doc__, *common, onnx="ONNX file to build from", engine="engine to write")
    arguments.add_argument("--runtime", choices=sorted(RUNTIMES), required=True, help="runtime that builds the engine")
    arguments.add_argument("--runtime-version", required=True, help="its required version")
    arguments.add_argument("--precision", choices=sorted(TOLERATED), required=True, help="precision of the engine")
    arguments.add_argument("--cuda", help="CUDA version of the runtime")
    arguments.add_argument("--builder", default="{}", help="the builder's settings as JSON")
    arguments.add_argument("--timing-cache", help="file with the builder's earlier measurements on this GPU")
    arguments.add_argument(
        "--reference", type=Path, nargs="?", help="PyTorch's outputs (.npz), which the engine must reproduce"
    )
    arguments.add_argument("--limits", help="limits of the differences, as JSON: `accuracy.limits` of the precision")
    arguments.add_argument("--max-slowdown", type=float, default=0.05, help="allowed slowdown (share) over the old one")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Keep, refit or build the engine, move the engine to its final path, and write its record."""
    require_runtime(arguments.runtime, arguments.runtime_version)
    require_machine(arguments)
    job = job_of(arguments, runtime(arguments.runtime), head_of(arguments))
    if job.previous and is_current(job.previous, job.head):
        keep(job, job.previous)
        return
    files = engine_files(arguments.runtime, arguments.engine)
    with atomic_write_together(files) as partials:
        attempts = make(job, partials[0])
    record = {
        **job.head,
        "files": {file.name: sha256(file) for file in files},
        "bytes": sum(file.stat().st_size for file in files),
        **build_history(job, attempts),
        **attempts[-1].facts,
    }
    write_json(arguments.record, record)
    show(record)


def head_of(arguments: argparse.Namespace) -> dict:
    """Return the entries of the build record that are known before the build.

    They are "key" (see `key_of`), "code_sha256", "device" ("gpu" or "cpu"), and facts from the ONNX file's record, such
    as "structure_sha256". Raises SlipwayError if the ONNX file does not match its record, or has operators that the
    runtime lacks.
    """
    exported = record_of_onnx(arguments.onnx, arguments.onnx_record)
    require_kernels(exported, arguments.runtime)
    return {
        "origin": exported["origin"],
        "weights_sha256": exported["weights_sha256"],
        "key": key_of(arguments, exported),
        "code_sha256": digest(CodeHashes().of_program("build_engine", arguments.runtime)),
        "structure_sha256": exported["structure_sha256"],
        "topology_sha256": exported["topology_sha256"],
        "device": "gpu" if is_gpu(arguments.hardware) else "cpu",
        "interface": exported["interface"],
        "onnx_bytes": exported["fp32_bytes"],
        "calibration": exported["calibration"],
    }


def require_kernels(exported: dict, runtime: str) -> None:
    """Raise SlipwayError if the ONNX file has operators beyond ONNX's own, and `runtime` is not ONNX Runtime.

    Only ONNX Runtime has kernels for them. `exported` is the record of the ONNX file, the JSON that export_onnx.py
    writes.
    """
    for domain, names in exported["operators"].items() if runtime != "onnxruntime" else ():
        raise SlipwayError(
            f"the ONNX file has operators of {domain} ({', '.join(names[:3])}), for which only ONNX Runtime has "
            f"kernels, not {RUNTIMES[runtime].title}; set `runtime: onnxruntime` in this target of config.yaml, leave "
            "the outputs out that need them (`outputs`), or export the model with ONNX's own operators"
        )


def key_of(arguments: argparse.Namespace, exported: dict) -> dict:
    """Return the build key, which decides whether an existing engine is kept.

    Its entries are {"onnx_sha256", "runtime", "runtime_version", "precision", "hardware"}. For TensorRT, the key also
    has "cuda" and the settings of the "builder". The code is no part of the key: its digest is "code_sha256" of the
    build record. `exported` is the ONNX file's record.
    """
    key = {
        "onnx_sha256": exported["sha256"],
        "runtime": arguments.runtime,
        "runtime_version": arguments.runtime_version,
        "precision": arguments.precision,
        "hardware": arguments.hardware,
    }
    if not arguments.cuda:
        return key
    return key | {"cuda": arguments.cuda, "builder": json.loads(arguments.builder) | dynamic_axes(exported)}


def keep(job: Job, previous: RecordedEngine) -> None:
    """Keep the existing engine: make its files newer than their inputs, so that Snakemake does not make them again.

    Its build record is written only if an entry differs from the existing record.
    """
    record = {**previous.record, **job.head}
    for file in previous.files:
        os.utime(file)
    if record == previous.record:
        os.utime(job.arguments.record)
    else:
        write_json(job.arguments.record, record)
    progress("  kept: the existing engine was built from the same ONNX file and settings by the same code")


def show(record: dict) -> None:
    """Print the strategy, the duration, the size, and the precisions of the compute layers.

    `record` is the new engine's build record, as `main` writes it.
    """
    counted = ", ".join(f"{count} {name}" for name, count in record["layers"].items()) or "none"
    strategy, seconds, megabytes = IN_WORDS[record["way"]], record["spent_seconds"], record["bytes"] / 1e6
    progress(f"  {strategy} in {seconds:.1f} s{saved(record)}, {megabytes:.0f} MB; compute layers that run: {counted}")
    never = record.get("not_refittable_reason")
    if never and record["key"].get("builder", {}).get("refit"):
        progress(f"  it cannot be refitted with new weights: {never}")


def saved(record: dict) -> str:
    """Return this build's time as a share of the first build's time, such as " (8% of a cold build's 96.0 s)".

    `record` is the new engine's build record. Return "" if it has no first build, or if the first build had the same
    strategy.
    """
    first = record["first_build"]
    if not first or first["way"] == record["way"]:
        return ""
    kind = "a cold" if first["way"] == COLD else "the first"
    return f" ({record['share_of_first_build']:.0%} of {kind} build's {first['seconds']:.1f} s)"


def require_machine(arguments: argparse.Namespace) -> None:
    """Raise SlipwayError unless this machine has the CPU or GPU that the job was planned for (--hardware).

    A runtime that builds without this hardware is not checked.
    """
    traits = RUNTIMES[arguments.runtime]
    if traits.builds_without_hardware:
        return
    try:
        gpu = runtime(arguments.runtime).gpu_here() if traits.needs_gpu else None
    except ValueError as error:
        raise SlipwayError(str(error)) from None
    require_hardware(arguments.hardware, gpu)


if __name__ == "__main__":
    run(main, parse_arguments())
