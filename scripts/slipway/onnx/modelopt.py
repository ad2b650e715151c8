"""Convert an exported FP32 ONNX file to another precision with NVIDIA ModelOpt: the parts that all conversions share.

A variant is such a converted file, or its precision, such as "fp16". The programs cast_onnx.py and quantize_onnx.py
make the variants.
"""

import argparse
import contextlib
import math
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx

from slipway.benchmark.agreement import compare_requests, figures_in_words
from slipway.benchmark.batch_independence import IN_FEWER_BITS
from slipway.contract.archives import read_samples
from slipway.contract.contract import Contract, Tensors
from slipway.core.artifacts import atomic_write_together, data_file, record_of_onnx, write_json
from slipway.core.cli import parser
from slipway.core.errors import SlipwayError
from slipway.core.job_settings import settings_of
from slipway.core.package_versions import ABSENT, package_version
from slipway.onnx import external_data
from slipway.onnx.onnx_files import answering, described, require_batch_independence, require_served_tensors, session_of
from slipway.onnx.onnx_structure import QUANTIZING
from slipway.onnx.precision_emulation import emulated

PACKAGE = "nvidia-modelopt"


def require_modelopt() -> None:
    """Raise SlipwayError if ModelOpt is not installed.

    Snakemake's plan checks this, too. The check here is for a program that is run without Snakemake.
    """
    if package_version(PACKAGE) == ABSENT:
        raise SlipwayError(f"{PACKAGE} is not installed here; pip install -r envs/requirements.txt")


def variant_parser(description: str, variants: Iterable[str], *more: str) -> argparse.ArgumentParser:
    """Return an argument parser with the options that all conversions of an ONNX file to another precision share.

    `variants` are the precisions to choose from, by --variant. `more` are names of further options that `cli.parser`
    knows.
    """
    common = ("onnx_record", "samples", *more, "record")
    arguments = parser(description, *common, onnx="FP32 ONNX file", output="ONNX file to write")
    arguments.add_argument("--variant", choices=variants, required=True, help="precision to convert it to")
    return arguments


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Context manager: for the block, put all temporary files of this process into one new folder. Yields this folder.

    At the end, the folder is removed. ModelOpt and ONNX Runtime leave intermediate models beside their input and output
    and in the system's temporary folder, especially when they fail.
    """
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="slipway.") as folder:
        tempfile.tempdir = folder
        try:
            yield Path(folder)
        finally:
            tempfile.tempdir = before


def base_record(arguments: argparse.Namespace) -> dict:
    """Return the record of the FP32 ONNX file (--onnx), the JSON that export_onnx.py writes.

    Raises SlipwayError if the record belongs to another file, or if the file is quantised already.
    """
    record = record_of_onnx(arguments.onnx, arguments.onnx_record)
    if QUANTIZING.intersection(node.op_type for node in external_data.read(arguments.onnx).graph.node):
        raise SlipwayError(
            f"the model is quantised already, so no {arguments.variant} is made of it; take only fp32, which is its "
            "file as it is, in `targets.*.precisions` of config.yaml"
        )
    return record


def write_variant(
    arguments: argparse.Namespace,
    base: dict,
    model: onnx.ModelProto,
    requests: list[Tensors],
    *,
    folder: Path | None = None,
    **facts: dict | None,
) -> dict:
    """Check a converted model, compare it with the FP32 file, write it and its record, and return the record.

    `base` is the record of the FP32 file. `folder` has the file of the external data of `model`; None if there is none.
    For the comparison, ONNX Runtime runs the model that `emulated` returns, which rounds exactly as `model` states. It
    runs `requests`, a list of {input: array}, and each sample in batches with other samples. `facts` are further
    entries of the record. Raises SlipwayError if a check fails.
    """
    contract, samples = Contract.of(base["interface"]), read_samples(arguments.samples)
    require_served_tensors(model, contract)
    with atomic_write_together([arguments.output, data_file(arguments.output)]) as (partial, _):
        external_data.write(model, partial, folder)
        onnx.checker.check_model(str(partial), full_check=True)
        computed = emulated(external_data.read(partial), partial.parent)
        fp32, folders = external_data.read(arguments.onnx), (arguments.onnx.parent, partial.parent)
        agreement, why_not = agreement_with_base(fp32, computed, contract, requests, folders)
        distances = agreement and require_batch_independence(
            session_of(computed, partial.parent), contract, samples, IN_FEWER_BITS
        )
    record = {
        **{name: base[name] for name in ("origin", "weights_sha256", "fp32_bytes", "interface", "operators")},
        "key": settings_of(arguments),
        "variant": arguments.variant,
        "source_sha256": base["sha256"],
        **described(arguments.output),
        "agreement": agreement,
        "batch_independence": distances,
        "not_compared_reason": why_not,
        **facts,
        "versions": {**base["versions"], PACKAGE: package_version(PACKAGE), "onnx": onnx.__version__},
    }
    write_json(arguments.record, record)
    return record


def in_words(record: dict) -> str:
    """Return in words how a converted file agrees with the FP32 file, or why they could not be compared.

    `record` is the record of the converted file.
    """
    agreement = record["agreement"]
    return f"against FP32: {figures_in_words(agreement)}" if agreement else record["not_compared_reason"]


def agreement_with_base(
    base: onnx.ModelProto,
    variant: onnx.ModelProto,
    contract: Contract,
    requests: list[Tensors],
    folders: tuple[Path, Path] = (Path(), Path()),
) -> tuple[dict | None, str | None]:
    """Compare a variant with its FP32 model `base` over all requests, in ONNX Runtime on the CPU.

    Returns (the figures of `compare_requests`, None), or (None, the reason) if ONNX Runtime cannot run the variant.
    ONNX Runtime's optimisations are off: it then computes quantised nodes as written, and the figures do not depend on
    this CPU's integer instructions. `folders` have the files of external data of the FP32 model and of the variant.
    Raises SlipwayError if the variant's outputs are not finite, but the FP32 model's outputs are.
    """
    try:
        answers = list(map(answering(session_of(variant, folders[1]), contract), requests))
    except Exception as error:  # ONNX Runtime has no common class for its errors
        return None, f"ONNX Runtime's CPU kernels cannot run it: {str(error).splitlines()[0]}"
    references = list(map(answering(session_of(base, folders[0]), contract), requests))
    agreement = compare_requests(references, answers, contract)
    if not agreement["finite"] or not math.isfinite(agreement.get("relative_error", 0.0)):
        raise SlipwayError(
            "the converted model answers with infinities where the FP32 model does not: some value is beyond the range "
            "of the lower precision; leave that precision out of `targets.*.precisions` in config.yaml"
        )
    return agreement, None
