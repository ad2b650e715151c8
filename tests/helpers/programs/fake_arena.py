"""A stand-in for the `arena` client: it takes the options of `arena serve triton`, and makes what its chart makes.

Put on PATH as `arena` by `install`. The objects are those of the arena.yaml below the working directory that has the
name and version that it is told; they are created in the cluster of the kubeconfig.
"""

import argparse
import json
import os
import sys
import urllib.request
from pathlib import Path

import yaml

from helpers.patience import PATIENCE_S
from helpers.programs.stand_ins import put_on_path

# Options of `arena serve triton` that take a value, and those of them that may be repeated.
VALUES = (
    "name",
    "version",
    "namespace",
    "image",
    "image-pull-policy",
    "replicas",
    "cpu",
    "memory",
    "gpus",
    "gpumemory",
)
VALUES += ("model-repository", "http-port", "grpc-port", "metrics-port", "allow-metrics", "shell", "extend-command")
REPEATED = ("image-pull-secret", "selector", "annotation", "env", "data")
LABELS = ("servingName", "servingVersion")


def install(folder):
    """Write the program `arena` into a folder for PATH; return the environment that it needs."""
    return put_on_path(folder, "arena", __file__)


def options(words):
    """Return the options of a command line; argparse ends the program on one that the real client does not have."""
    parser = argparse.ArgumentParser(prog="arena", allow_abbrev=False)
    serve = parser.add_subparsers(required=True).add_parser("serve", allow_abbrev=False)
    commands = serve.add_subparsers(dest="command", required=True)
    triton = commands.add_parser("triton", allow_abbrev=False)
    for name in VALUES:
        triton.add_argument(f"--{name}")
    for name in REPEATED:
        triton.add_argument(f"--{name}", action="append", default=[])
    delete = commands.add_parser("delete", allow_abbrev=False)
    delete.add_argument("name")
    for name in ("version", "namespace"):
        delete.add_argument(f"--{name}", required=True)
    return parser.parse_args(words)


def chart(asked):
    """Return the objects of a release, from whichever arena.yaml has it."""
    for path in Path().glob("results/**/arena.yaml"):
        found = [each for each in yaml.safe_load_all(path.read_text(encoding="utf-8")) if is_of(each, asked)]
        if found:
            return found
    sys.exit(f"no arena.yaml has {asked.name} {asked.version}")


def is_of(found, asked):
    """Say whether an object is of a release."""
    labels = found["metadata"].get("labels", {})
    return [labels.get(name) for name in LABELS] == [asked.name, asked.version]


def require_as_rendered(asked, deployment):
    """End the program unless the options are those that the objects were made of."""
    spec = deployment["spec"]
    [container] = spec["template"]["spec"]["containers"]
    said = [asked.image, asked.replicas, [asked.shell, "-c"], asked.image_pull_policy]
    rendered = [container["image"], str(spec["replicas"]), container["command"], container["imagePullPolicy"]]
    flags = [f"--model-repository={asked.model_repository}", asked.extend_command]
    if said != rendered or any(flag not in container["args"][0] for flag in flags):
        sys.exit(f"arena.yaml is not what the options make: {said} {rendered}")


class Api:
    """The API of the kubeconfig's cluster, asked with as little as starts fast."""

    def __init__(self, namespace):
        config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text(encoding="utf-8"))
        self.url, self.namespace = config["clusters"][0]["cluster"]["server"], namespace
        self.token = config["users"][0]["user"]["token"]

    def ask(self, method, kind, name="", query="", body=None):
        """Return what the API answers about a kind or an object."""
        group, plural = {"Deployment": ("apis/apps/v1", "deployments"), "Service": ("api/v1", "services")}[kind]
        url = f"{self.url}/{group}/namespaces/{self.namespace}/{plural}{name and '/' + name}{query}"
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/apply-patch+yaml"}
        data = json.dumps(body).encode() if body else None
        with urllib.request.urlopen(
            urllib.request.Request(url, data, headers, method=method), timeout=PATIENCE_S
        ) as answer:
            return json.load(answer)


def main(words):
    """Do what a command line asks for."""
    asked = options(words)
    api = Api(asked.namespace)
    selector = ",".join(f"{label}={value}" for label, value in zip(LABELS, (asked.name, asked.version), strict=True))
    there = [
        (kind, found["metadata"]["name"])
        for kind in ("Deployment", "Service")
        for found in api.ask("GET", kind, query=f"?labelSelector={selector}")["items"]
    ]
    if asked.command == "delete":
        if not there:
            sys.exit(f"the serving job {asked.name} {asked.version} does not exist")
        for kind, name in there:
            api.ask("DELETE", kind, name)
        return
    if there:
        sys.exit(f"the job {asked.name}-{asked.version} is already exist, please delete it first.")
    objects = chart(asked)
    require_as_rendered(asked, objects[0])
    for found in objects:
        api.ask("PATCH", found["kind"], found["metadata"]["name"], "?fieldManager=helm", found)


if __name__ == "__main__":
    main(sys.argv[1:])
