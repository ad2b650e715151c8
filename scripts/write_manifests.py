"""Write the manifests that deploy a model to each platform. Nothing is deployed."""

import argparse
import json
from pathlib import Path

from slipway.core.artifacts import sha256, write_json, write_text
from slipway.core.cli import parser, progress, run
from slipway.core.errors import SlipwayError
from slipway.core.job_settings import settings_of
from slipway.core.setting_options import add_settings
from slipway.manifests.common import deployment
from slipway.manifests.deployment_facts import Artifact, DeploymentFacts, Value, plain, require_shippable, trace
from slipway.manifests.fleet import Fleet, manifests
from slipway.monitoring.slo import read_slowest
from slipway.triton.server.releases import FLOOR


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line.

    `targets`, `indexes`, `selections` and `load_tests` are lists with one entry for each target, in the same order.
    """
    arguments = parser(__doc__, "model", "indexes", "selections", "record")
    arguments.add_argument("--targets", nargs="*", default=[], help="names of the targets to deploy")
    arguments.add_argument("--load-tests", type=Path, nargs="*", default=[], help="records of the load tests (.json)")
    arguments.add_argument("--cluster", required=True, help="JSON: `deploy.cluster` in config.yaml")
    arguments.add_argument("--compose", required=True, help="JSON: `deploy.compose` in config.yaml")
    arguments.add_argument("--compose-target", help="the target of that machine, if it is one of them")
    arguments.add_argument("--triton-release", help="the Triton release that will serve")
    arguments.add_argument("--default-release", help="the release that serves if neither it nor an image is named")
    arguments.add_argument("--oldest", default=FLOOR, help="the oldest release that may serve")
    arguments.add_argument("--image", help="the image that will serve, if not NVIDIA's of that release")
    listening = ("host", "http_port", "grpc_port", "metrics_port")
    add_settings(arguments, "deploy", *listening, "ready_timeout_s", "rate", "headroom")
    arguments.add_argument("--files", type=Path, nargs="+", required=True, help="manifests to write, of every platform")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Read the records of every target, make and validate all manifests, then write the manifests and their record."""
    all_facts = read_facts(arguments)
    require_shippable(all_facts)
    chosen = vars(arguments) | {name: json.loads(vars(arguments)[name]) for name in ("cluster", "compose")}
    fleet = {facts.target: deployment(arguments.model, facts, chosen, all_facts) for facts in all_facts}
    written = texts([plain(values) for values in fleet.values()], arguments)
    for path, text in written.items():
        write_text(path, text)
    write_json(arguments.record, record(arguments, fleet, list(written)))
    announce(fleet)


def read_facts(arguments: argparse.Namespace) -> list[DeploymentFacts]:
    """Return the facts for the manifests of each target: the repository's index, the selection and the load test."""
    lists = (arguments.indexes, arguments.selections, arguments.load_tests)
    artifacts = [[Artifact.read(path) for path in paths] for paths in lists]
    return [DeploymentFacts(*facts) for facts in zip(arguments.targets, *artifacts, strict=True)]


def texts(deployments: list[dict], arguments: argparse.Namespace) -> dict[Path, str]:
    """Make the manifests of all platforms. Return {path: text of the manifest}; the paths are those in --files.

    `deployments` are the values for the manifests, one dict for each target. Raises SlipwayError if a manifest is
    invalid, or if the names in --files differ from the names of the manifests.
    """
    here = next((d for d in deployments if d["target"] == arguments.compose_target), deployments[0])
    slo = read_slowest(arguments.selections, arguments.indexes, arguments.headroom)
    made = manifests(Fleet(deployments, here, slo))
    paths = {path.name: path for path in arguments.files}
    if set(paths) != set(made):
        raise SlipwayError(
            f"--files has {', '.join(paths)}, but the platforms' manifests are {', '.join(made)}; pass these as --files"
        )
    return {paths[name]: text for name, text in made.items()}


def record(arguments: argparse.Namespace, fleet: dict[str, dict[str, Value]], files: list[Path]) -> dict:
    """Return the record of the manifests: each value with its source, the SHA-256 of each artifact and manifest.

    `fleet` is {target: {name: value in its manifests, with its source}}. `files` are the paths of the manifests.
    """
    return {
        "key": settings_of(arguments),
        "model": arguments.model,
        "warnings": {target: values["warnings"].value for target, values in fleet.items()},
        "values": {target: trace(values) for target, values in fleet.items()},
        "artifacts": {
            path.as_posix(): sha256(path) for path in arguments.indexes + arguments.selections + arguments.load_tests
        },
        "files": {path.name: sha256(path) for path in files},
    }


def announce(fleet: dict[str, dict[str, Value]]) -> None:
    """Print the replicas, the resources and the warnings of each target. `fleet` is {target: {name: value}}."""
    for target, values in fleet.items():
        d = plain(values)
        gpu = f", {d['gpu_resource']}: {d['gpu_quantity']}" if d["on_gpu"] else ""
        progress(f"  {target}: {d['replicas']} x {d['cpus']} CPUs, {d['memory_mib']} MiB{gpu}; {d['image']}")
        if d["sizing"]:
            progress(f"  {target}: {d['sizing']}")
        for warning in d["warnings"]:
            progress(f"  WARNING, {target}: {warning}")


if __name__ == "__main__":
    run(main, parse_arguments())
