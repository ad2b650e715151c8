"""Check a model file that contains its network (.pt2, TorchScript, ONNX): run it on a sample, copy it, record it."""

import argparse
from pathlib import Path

from slipway.contract.archives import read_samples
from slipway.core.artifacts import atomic_write_together, data_file
from slipway.core.cli import progress, run
from slipway.core.errors import SlipwayError
from slipway.keys.file_hash_cache import FileHashCache
from slipway.keys.weights_files import PROGRAMS
from slipway.models.archive_checksums import require_intact
from slipway.models.programs import program
from slipway.models.trial_runs import in_dtypes_of, try_run
from slipway.models.weights_record import weights_parser, write_record
from slipway.networks.calling import call_of, naming
from slipway.networks.graph_network import count_of_parameters
from slipway.onnx.data_files import data_names
from slipway.storage.local_copies import fetched


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments, _ = weights_parser(__doc__, "copy to write; beside it, .data has the weights of an ONNX file over 2 GB")
    arguments.add_argument("--data-digest", help="SHA-256 of the files beside it that hold its weights, when planned")
    arguments.add_argument("--kind", choices=list(PROGRAMS), required=True, help="what the file is")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Copy the model file, run it on a sample, and write its record.

    The record has the same keys as that of a checkpoint, so that later jobs need not distinguish the two.
    """
    path = arguments.checkpoint or fetched(arguments.address, arguments.fingerprint)
    require_intact(path)
    if arguments.data_digest:
        require_data(path, arguments.data_digest)
    samples, kind = read_samples(arguments.samples), program(arguments.kind)
    with atomic_write_together([arguments.output, data_file(arguments.output)]) as (partial, data):
        data.write_bytes(b"")
        with naming(arguments.samples_from):
            notes = kind.take(path, partial, samples)
            network = kind.load(partial)
            call_of(network, list(samples[0]))
        sample = in_dtypes_of(network, samples[0])
        outputs = try_run(network, sample)
    record = write_record(
        arguments,
        "program",
        sample,
        outputs,
        notes,
        program=arguments.kind,
        largest_batch=getattr(network, "largest_batch", None),
        parameters=count_of_parameters(network),
    )
    progress(f"  {PROGRAMS[arguments.kind]}, {record['parameters']:,} parameters, SHA-256 {record['sha256'][:12]}")


def require_data(path: Path, digest: str) -> None:
    """Raise SlipwayError if the external data of the ONNX file `path` changed since planning.

    `digest` is the digest of its files that the job was planned for.
    """
    if FileHashCache().of_many([path.parent / name for name in data_names(path)], path.parent) != digest:
        raise SlipwayError(f"the weights beside {path} changed since this job was planned; run snakemake again")


if __name__ == "__main__":
    run(main, parse_arguments())
