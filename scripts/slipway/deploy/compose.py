"""Deploying with Docker Compose on this machine: replace the running project, and restore it after a failure.

A project is the set of containers that one Compose file describes. One machine has one GPU and one set of ports, so the
old version stops before the new one starts.
"""

import argparse
import json
import platform
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import yaml

from slipway.core.errors import SlipwayError
from slipway.deploy.commands import output_of, require_program
from slipway.deploy.container_platform import ContainerPlatform, require_deployable
from slipway.deploy.local.installation import lock
from slipway.deploy.local.switching import require_own_ports
from slipway.deploy.release import Release
from slipway.deploy.release_history import DeploymentState
from slipway.deploy.release_store import ReleaseStore
from slipway.triton.client.ports import Ports

# Additional time for pulling images, in seconds.
PULL_S = 900
COMMAND_S = 60
LOG_LINES = 8


class Compose(ContainerPlatform):
    """The platform `compose`: Docker Compose on this machine.

    `folder` is the folder of the model's stored releases and of the lock on its deployments. `patience_s` is the
    timeout of a start, in seconds.
    """

    def __init__(self, folder: Path, patience_s: float) -> None:
        self._folder = folder
        self._patience_s = patience_s

    @classmethod
    def at(cls, receipt: dict, folder: Path, options: argparse.Namespace) -> "Compose":
        """Return the platform `compose` on this machine, with the timeout `ready_timeout_s` of `options`.

        `folder` has the model's stored releases. `receipt` is not used: no other machine is ever meant.
        """
        return cls(folder, options.ready_timeout_s)

    def lock(self) -> AbstractContextManager[None]:
        """Context manager: lock out a second deployment of the model while the block runs.

        Raises SlipwayError if another deployment has the lock.
        """
        return lock(self._folder)

    def preflight(self, release: Release, state: DeploymentState) -> dict:
        """Check, without any change, that a release can be deployed with Compose.

        Returns {"compose": the version of Compose, "verified": a list of sentences}. `state` is not used. Raises
        SlipwayError if a manifest was edited, if Docker is missing, if Compose refuses the file, or if a port is taken.
        """
        require_deployable(release)
        require_program("docker", "install Docker with its Compose plugin, or set `deploy.to` to local")
        version = output_of(["docker", "compose", "version", "--short"], COMMAND_S).strip()
        output_of([*_compose(release.files[0]), "config", "--quiet"], COMMAND_S)
        running, ports = running_file(project_of(release.files[0])), ports_of(release.parts[0].values)
        require_own_ports(ports, {"listening": vars(ports)} if running else None)
        return {"compose": version, "verified": ["Compose takes the file", "the ports are free, or its own"]}

    def snapshot(self, release: Release, state: DeploymentState) -> dict:
        """Return the Compose file from which `restore` starts the project again after a failure, as {"file": its path}.

        It is the file of the running project. If no project runs, or if a killed deployment started the project, it is
        the file of the release that was live before, or None if no release was live. `state` is the recorded state of
        earlier deployments.
        """
        running = running_file(project_of(release.files[0]))
        attempted, live = (found and str(found.files[0].resolve()) for found in (state.attempted, state.live))
        return {"file": state.baseline.get("file") or live if running in (None, attempted) else running}

    def start(self, release: Release, snapshot: dict) -> None:
        """Start or replace the project of the release, and wait until its health checks say that the model is ready.

        `snapshot` is not used. Raises SlipwayError with the end of Triton's log if the start fails.
        """
        try:
            self._up(release.files[0])
        except SlipwayError as error:
            raise SlipwayError(f"{error}{_end_of_log(release.files[0])}") from None

    @contextmanager
    def reach(self, release: Release) -> Iterator[dict[str, Ports]]:
        """Context manager: yield {target: Triton's ports on this machine}.

        The ports come from the manifest's values.
        """
        yield {part.target: ports_of(part.values) for part in release.parts}

    def finish(self, release: Release, snapshot: dict) -> None:
        """Do nothing: `start` has already removed the services that the new Compose file does not have."""

    def restore(self, release: Release, snapshot: dict) -> str:
        """After a failure, start the project from its earlier Compose file; without such a file, stop the project.

        `snapshot` is {"file": path of the earlier file or None}. Return a sentence on the version that serves now.
        """
        if snapshot["file"] is None:
            self._down(release.files[0])
            return "Nothing of it was live before, and nothing of it runs now."
        stored = Path(snapshot["file"])
        if stored.is_relative_to(self._folder.resolve()):
            number = int(stored.relative_to(self._folder.resolve()).parts[0])
            ReleaseStore(self._folder.parents[1], release.to).require_whole(release.parts[0].name, number)
        self._up(Path(snapshot["file"]))
        return f"What was live before was started again and serves: {snapshot['file']}. It did not answer meanwhile."

    def place(self) -> dict:
        """Return {"machine": the name of this machine}."""
        return {"machine": platform.node()}

    def contents(self, release: Release) -> dict:
        """Return the entries of a receipt by which `remove` and `describe` find the project: {"project", "file"}.

        "project" is the project's name, and "file" is the path of the Compose file.
        """
        return {"project": project_of(release.files[0]), "file": release.files[0].as_posix()}

    def remove(self, contents: list[dict]) -> list[str]:
        """Stop the projects of earlier deployments; return text with the name of each stopped project.

        `contents` are the entries "contents" of receipts, {"project", "file"}. Volumes with the metrics of Prometheus
        stay.
        """
        running = {entry["project"]: Path(entry["file"]) for entry in contents if running_file(entry["project"])}
        for file in running.values():
            self._down(file)
        return [f"the Compose project {project}" for project in running]

    def describe(self, receipt: dict) -> list[str]:
        """Return lines of text with the state of each service of a deployed project, for the command `status`.

        `receipt` is the record of the deployment. If the project does not run, the only line says so.
        """
        contents = receipt["contents"]
        if (running := running_file(contents["project"])) is None:
            return [f"  GONE       the Compose project {contents['project']} does not run; deploy again"]
        as_deployed = Path(running) == Path(contents["file"]).resolve()
        lines = [] if as_deployed else [f"  OTHER      it was started from {running}"]
        command = ["docker", "compose", "--project-name", contents["project"], "ps", "--format", "json"]
        for service in objects_in(output_of(command, COMMAND_S)):
            health = f", {service['Health']}" if service.get("Health") else ""
            lines.append(f"  service    {service['Service']}: {service['State']}{health}")
        return lines

    def _up(self, file: Path) -> None:
        waiting = ["--wait", "--wait-timeout", f"{self._patience_s:.0f}"]
        output_of([*_compose(file), "up", "--detach", "--remove-orphans", *waiting], self._patience_s + PULL_S)

    def _down(self, file: Path) -> None:
        output_of([*_compose(file), "down", "--remove-orphans"], COMMAND_S + self._patience_s)


def project_of(file: Path) -> str:
    """Return the project's name in a Compose file."""
    return yaml.safe_load(file.read_text(encoding="utf-8"))["name"]


def running_file(project: str) -> str | None:
    """Return the path of the Compose file from which a running project was started; None if `project` does not run."""
    listed = objects_in(output_of(["docker", "compose", "ls", "--format", "json"], COMMAND_S))
    return next((running["ConfigFiles"].split(",")[0] for running in listed if running["Name"] == project), None)


def objects_in(output: str) -> list[dict]:
    """Return the objects in Compose's JSON output: one array, or, in some versions and commands, one object a line."""
    objects = [json.loads(line) for line in output.splitlines() if line.strip()]
    return objects[0] if objects and isinstance(objects[0], list) else objects


def ports_of(values: dict) -> Ports:
    """Return Triton's host and ports on this machine, from a target's values in the manifests.

    `values` has "host", "http_port", "grpc_port" and "metrics_port". If Triton listens on all addresses, the host is
    the loopback address.
    """
    host = "127.0.0.1" if values["host"] in ("0.0.0.0", "::") else values["host"]
    return Ports(values["http_port"], values["grpc_port"], values["metrics_port"], host)


def _compose(file: Path) -> list[str]:
    """Return the first words of a `docker compose` command for a file.

    The words state the project's name, so that no environment variable changes the project.
    """
    return ["docker", "compose", "--file", str(file.resolve()), "--project-name", project_of(file)]


def _end_of_log(file: Path) -> str:
    """Return text with the last errors in Triton's log, for an error message; the last lines if the log has no errors.

    `file` is the project's Compose file. Return "" if the log is empty or cannot be read.
    """
    try:
        log = output_of([*_compose(file), "logs", "--no-log-prefix", "--no-color", "--tail=200", "triton"], COMMAND_S)
    except SlipwayError:
        return ""
    lines = log.splitlines()
    errors = [line for line in lines if re.match(r"E\d{4} ", line)]
    return "\n".join(["\nTriton's log says:", *(errors or lines)[-LOG_LINES:]]) if lines else ""
