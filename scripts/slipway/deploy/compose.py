"""Deploying with Docker Compose on one machine, this one: its project is replaced, and put back when that fails.

One machine has one GPU and one set of ports, so a version is stopped before the next one starts.
"""

import json
import platform
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import yaml

from slipway.core.errors import SlipwayError
from slipway.deploy.commands import require_program, said_by
from slipway.deploy.local import server_state
from slipway.deploy.local.installation import alone
from slipway.deploy.platform import Known
from slipway.deploy.release import Release
from slipway.deploy.sealed import require_whole
from slipway.triton.server.tritonserver import Ports

# Images may have to be pulled first.
PULL_S = 900
COMMAND_S = 60
LOG_LINES = 8


class Compose:
    """The machine that this runs on; `folder` is where a deployment of the model is locked."""

    def __init__(self, folder: Path, patience_s: float) -> None:
        self._folder = folder
        self._patience_s = patience_s

    def alone(self) -> AbstractContextManager[None]:
        """Keep a second deployment of this checkout out while the block runs."""
        return alone(self._folder)

    def preflight(self, candidate: Release, known: Known) -> dict:
        """Return Compose's version; raise SlipwayError when it does not take the file, or a port is another's."""
        require_program("docker", "install Docker with its Compose plugin, or set `deploy.to` to local")
        version = said_by(["docker", "compose", "version", "--short"], COMMAND_S).strip()
        said_by([*_compose(candidate.files[0]), "config", "--quiet"], COMMAND_S)
        self._require_ports(candidate)
        return {"compose": version, "verified": ["Compose takes the file", "the ports are free, or its own"]}

    def previous(self, candidate: Release, known: Known) -> dict:
        """Return {"file": what the project was started from, or None}."""
        found = running_file(project_of(candidate.files[0]))
        attempted = known.attempted.files[0].resolve() if known.attempted else None
        if found and attempted == Path(found):
            return {"file": known.left["file"]}
        return {"file": found}

    def start(self, candidate: Release, before: dict) -> None:
        """Start the project, or replace it, and wait until its services are healthy."""
        try:
            self._up(candidate.files[0])
        except SlipwayError as error:
            raise SlipwayError(f"{error}{_end_of_log(candidate.files[0])}") from None

    def wait(self, candidate: Release) -> None:
        """Return at once: Compose waited for the health check, which asks whether the model is ready."""

    @contextmanager
    def reach(self, candidate: Release) -> Iterator[dict[str, Ports]]:
        """Yield the ports of this machine that the manifest names."""
        yield {part.target: ports_of(part.values) for part in candidate.parts}

    def finish(self, candidate: Release, before: dict) -> None:
        """Remove nothing: Compose took away the services that the new file has not."""

    def go_back(self, candidate: Release, before: dict) -> str:
        """Start what the project was started from before, or stop it where nothing was."""
        if before["file"] is None:
            self._down(candidate.files[0])
            return "Nothing of it was live before, and nothing of it runs now."
        self._require_whole(Path(before["file"]))
        self._up(Path(before["file"]))
        return f"What was live before was started again and serves: {before['file']}. It did not answer meanwhile."

    def place(self) -> dict:
        """Return this machine's name."""
        return {"machine": platform.node()}

    def contents(self, candidate: Release) -> dict:
        """Return the project and the file that it was started from."""
        file = candidate.files[0]
        return {"project": project_of(file), "file": file.as_posix(), "ports": vars(ports_of(candidate.fleet[0]))}

    def remove(self, contents: dict) -> list[str]:
        """Stop the project; its volumes, which hold what Prometheus has gathered, stay."""
        if running_file(contents["project"]) is None:
            return []
        self._down(Path(contents["file"]))
        return [f"the Compose project {contents['project']}"]

    def describe(self, contents: dict) -> list[str]:
        """Return how each service is doing, as Compose says."""
        found = running_file(contents["project"])
        if found is None:
            return [f"  GONE       the Compose project {contents['project']} does not run; deploy again"]
        lines = [] if Path(found) == Path(contents["file"]).resolve() else [f"  OTHER      it was started from {found}"]
        asked = ["docker", "compose", "--project-name", contents["project"], "ps", "--format", "json"]
        return lines + [
            f"  service    {each['Service']}: {each['State']}{', ' + each['Health'] if each.get('Health') else ''}"
            for each in objects_in(said_by(asked, COMMAND_S))
        ]

    def _require_whole(self, file: Path) -> None:
        """Raise SlipwayError when a file is of a version that was kept here and was changed since."""
        folder = self._folder.resolve()
        if file.is_relative_to(folder):
            require_whole(folder, int(file.relative_to(folder).parts[0]))

    def _up(self, file: Path) -> None:
        waiting = ["--wait", "--wait-timeout", f"{self._patience_s:.0f}"]
        said_by([*_compose(file), "up", "--detach", "--remove-orphans", *waiting], self._patience_s + PULL_S)

    def _down(self, file: Path) -> None:
        said_by([*_compose(file), "down", "--remove-orphans"], COMMAND_S + self._patience_s)

    def _require_ports(self, candidate: Release) -> None:
        """Raise SlipwayError when somebody else listens on a port that Triton is to have."""
        taken = ports_of(candidate.fleet[0]).taken()
        if taken and running_file(project_of(candidate.files[0])) is None:
            raise SlipwayError(
                f"port {taken[0]} is taken by {server_state.who_listens(taken[0])}, which is not of this Compose "
                "project. Stop it (a local deployment with `deploy.to: local` and `snakemake undeploy`), or set other "
                "ports under `deploy` in config.yaml. Nothing was changed."
            )


def project_of(file: Path) -> str:
    """Return the name of the project that a file describes."""
    return yaml.safe_load(file.read_text(encoding="utf-8"))["name"]


def running_file(project: str) -> str | None:
    """Return the file that a running project was started from, None where it does not run."""
    listed = objects_in(said_by(["docker", "compose", "ls", "--format", "json"], COMMAND_S))
    return next((each["ConfigFiles"].split(",")[0] for each in listed if each["Name"] == project), None)


def objects_in(said: str) -> list[dict]:
    """Return what Compose listed as JSON: one array, or, from some versions and commands, one object a line."""
    found = [json.loads(line) for line in said.splitlines() if line.strip()]
    return found[0] if found and isinstance(found[0], list) else found


def ports_of(values: dict) -> Ports:
    """Return where Triton listens on this machine; one that listens everywhere is asked at the loopback address."""
    host = "127.0.0.1" if values["host"] in ("0.0.0.0", "::") else values["host"]
    return Ports(values["http_port"], values["grpc_port"], values["metrics_port"], host)


def _compose(file: Path) -> list[str]:
    """Return the command that is about a file's project, whatever the environment names."""
    return ["docker", "compose", "--file", str(file.resolve()), "--project-name", project_of(file)]


def _end_of_log(file: Path) -> str:
    """Return the last errors that Triton told of, or else the end of its log, where there is any."""
    try:
        said = said_by([*_compose(file), "logs", "--no-log-prefix", "--no-color", "--tail=200", "triton"], COMMAND_S)
    except SlipwayError:
        return ""
    lines = said.splitlines()
    errors = [line for line in lines if re.match(r"E\d{4} ", line)]
    return "\n".join(["\nTriton's log says:", *(errors or lines)[-LOG_LINES:]]) if lines else ""
