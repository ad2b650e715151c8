"""Sign a model's repository, so that a server can detect a change of the repository's files."""

import argparse
from pathlib import Path

from slipway.core.cli import parser, progress, run
from slipway.core.errors import SlipwayError
from slipway.core.job_settings import add_planned
from slipway.triton.repository.signing import sign, verify
from slipway.triton.repository.signing_keys import public_sha256
from slipway.triton.repository.versions import read_index, remove_bytecode


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__, "folder", "index", "private_key", signature="Sigstore bundle to write (JSON)")
    arguments.add_argument("--public-key", type=Path, help="its other half, to try the signature with (.pem)")
    arguments.add_argument("--signed-by", help="SHA-256 of the private key's public half that the job was planned for")
    add_planned(arguments, "public_key_sha256")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Check the repository against its index, sign it, and verify the signature."""
    repository = arguments.folder.parent
    read_index(repository, arguments.index)
    if arguments.signed_by is not None and public_sha256(arguments.private_key) != arguments.signed_by:
        raise SlipwayError(f"{arguments.private_key} holds another key since this job was planned; run snakemake again")
    remove_bytecode(repository)
    sign(repository, arguments.private_key, arguments.signature)
    if arguments.public_key:
        verify(repository, arguments.public_key, arguments.signature)
    progress(f"  {repository} is signed as {arguments.signature}")


if __name__ == "__main__":
    run(main, parse_arguments())
