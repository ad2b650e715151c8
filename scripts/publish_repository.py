"""Publish a model's repository to a folder, such as a mounted claim, or to an object store that a cluster reads."""

import argparse
from pathlib import Path

from slipway.core.artifacts import sha256, write_json
from slipway.core.cli import parser, progress, run
from slipway.core.job_settings import add_planned, settings_of
from slipway.deploy.release_store import versions_in_use
from slipway.manifests.deployment_facts import Artifact, refuse_rehearsal
from slipway.triton.repository.publishing import destination_of, publish


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    arguments = parser(__doc__, "model", "target", "folder", "index", "record")
    arguments.add_argument("--to", required=True, help="folder, or storage such as s3://bucket/prefix")
    arguments.add_argument("--claim-path", default="", help="folder in it that holds the repositories")
    arguments.add_argument("--publication", type=int, default=1, help="which publication of it this is")
    arguments.add_argument("--keep-versions", type=int, default=3, help="versions to keep, the new one too")
    arguments.add_argument("--signature", type=Path, help="signature of the repository, to publish beside it")
    arguments.add_argument("--public-key", type=Path, help="key that the signature must be of (.pem)")
    add_planned(arguments, "public_key_sha256")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Refuse random weights, verify the signature, publish the repository, and write the record of the publication."""
    refuse_rehearsal(arguments.model, Artifact.read(arguments.index), "not published")
    repository, index, signature = arguments.folder.parent, arguments.index, arguments.signature
    destination = destination_of(arguments.to, arguments.claim_path, arguments.model, arguments.target)
    if arguments.public_key:
        from slipway.triton.repository.signing import verify_repository  # this import takes half a second

        verify_repository(repository, arguments.public_key, signature)
    # After many publications without a deployment, the live version is older than the published versions to keep.
    protected = versions_in_use(arguments.record.parent.parent, arguments.target)
    published = publish(repository, index, destination, arguments.keep_versions, protected, signature=signature)
    record = {"key": settings_of(arguments), "index_sha256": sha256(index), **published}
    write_json(arguments.record, record | {"signed": signature is not None})
    announce(published)


def announce(published: dict) -> None:
    """Print the published version with its size, and the versions that were removed.

    `published` is the record of the publication, the dict that `publish` returns.
    """
    place = f"{published['destination']}/{published['version']}"
    if published["copied"]:
        progress(f"  {place}: {published['files']} files, {published['bytes'] / 1e6:.1f} MB, read back")
    else:
        progress(f"  {place}: already there, every file as it should be; nothing was copied")
    for version in published["pruned"]:
        progress(f"  {version}, published longest ago, was removed")


if __name__ == "__main__":
    run(main, parse_arguments())
