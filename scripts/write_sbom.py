"""Write the CycloneDX bill of materials of a deployment: the served files and all their sources."""

import argparse
from collections.abc import Callable

from slipway.core.artifacts import read_json, write_text
from slipway.core.cli import parser, progress, run
from slipway.core.errors import SlipwayError
from slipway.core.package_versions import ABSENT, package_version
from slipway.core.serving_environment import serving_version
from slipway.manifests.deployment_facts import Artifact
from slipway.manifests.sbom import Served, bill


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line.

    `targets` and `indexes` are lists with one entry for each target, in the same order.
    """
    common = ("model", "indexes", "onnx_records", "weights_record", "manifests")
    arguments = parser(__doc__, *common, output="bill to write (.cdx.json)")
    arguments.add_argument("--targets", nargs="*", default=[], help="names of the targets to deploy")
    arguments.add_argument("--packages", nargs="*", default=[], help="packages that Slipway ran on, as name==version")
    arguments.add_argument("--serving-packages", nargs="*", default=[], help="the same of the environment that serves")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Follow the SHA-256 chain from each repository back to the weights, and write the bill of materials."""
    building, serving = (
        dict(package.split("==", 1) for package in packages)
        for packages in (arguments.packages, arguments.serving_packages)
    )
    require_packages(building, package_version)
    require_packages(serving, serving_version)
    weights = Artifact.read(arguments.weights_record)
    indexes = [Artifact.read(path) for path in arguments.indexes]
    for index in indexes:
        if index.content["chain"]["weights_sha256"] != weights.content["sha256"]:
            raise SlipwayError(f"{index.path} was made from other weights than {weights.path}; run snakemake again")
    records = {record["sha256"]: record for record in map(read_json, arguments.onnx_records)}
    values = read_json(arguments.manifests)["values"]
    served = [
        Served(target, index.content, onnx_of(index, records), values[target]["image"]["value"])
        for target, index in zip(arguments.targets, indexes, strict=True)
    ]
    write_text(arguments.output, bill(arguments.model, weights.content, served, building, serving))
    count = len(building.items() | serving.items())
    progress(f"  {sum(len(index.content['files']) for index in indexes)} served files, {count} packages")


def require_packages(packages: dict[str, str], version_of: Callable[[str], str]) -> None:
    """Raise SlipwayError unless the installed packages have the versions that the job was planned for.

    `packages` is {package: planned version}. `version_of` returns the installed version of a package.
    """
    for name, version in packages.items():
        installed = version_of(name)
        if installed != version:
            here = "none" if installed == ABSENT else installed
            raise SlipwayError(f"this job was planned for {name} {version}, but {here} is here; run snakemake again")


def onnx_of(index: Artifact, records: dict[str, dict]) -> dict:
    """Return the record of the ONNX file from which a repository's engine was built.

    `index` is the repository's index. `records` is {SHA-256 of an ONNX file: its record}. Raises SlipwayError if the
    ONNX file has no record.
    """
    digest = index.content["chain"]["onnx_sha256"]
    if digest not in records:
        raise SlipwayError(f"{index.path} was made from an ONNX file that is not here any more; run snakemake again")
    return records[digest]


if __name__ == "__main__":
    run(main, parse_arguments())
