"""A stand-in for the `docker` client with its Compose plugin: it takes what Compose takes, and runs Triton for real.

Put on PATH as `docker` by `install`. Of a composition it starts the service `triton`, the tritonserver of this machine
at the published ports with the mounted repository; the other services are only said to run.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

from helpers.programs.stand_ins import put_on_path

STATE = "FAKE_DOCKER_STATE"


def install(folder):
    """Write the program `docker` into a folder for PATH; return the environment that it needs."""
    (folder / "state").mkdir()
    return put_on_path(folder, "docker", __file__) | {STATE: str(folder / "state")}


def options(words):
    """Return the options of a command line; argparse ends the program on one that the real client does not have."""
    parser = argparse.ArgumentParser(prog="docker", allow_abbrev=False)
    compose = parser.add_subparsers(required=True).add_parser("compose", allow_abbrev=False)
    compose.add_argument("--file", type=Path)
    compose.add_argument("--project-name")
    commands = compose.add_subparsers(dest="command", required=True)
    commands.add_parser("version", allow_abbrev=False).add_argument("--short", action="store_true", required=True)
    commands.add_parser("config", allow_abbrev=False).add_argument("--quiet", action="store_true", required=True)
    for name in ("ls", "ps"):
        commands.add_parser(name, allow_abbrev=False).add_argument("--format", choices=["json"], required=True)
    up = commands.add_parser("up", allow_abbrev=False)
    for flag in ("--detach", "--remove-orphans", "--wait"):
        up.add_argument(flag, action="store_true")
    up.add_argument("--wait-timeout", type=int)
    commands.add_parser("down", allow_abbrev=False).add_argument("--remove-orphans", action="store_true")
    logs = commands.add_parser("logs", allow_abbrev=False)
    logs.add_argument("--no-log-prefix", action="store_true", required=True)
    logs.add_argument("--no-color", action="store_true")
    logs.add_argument("--tail", type=int)
    logs.add_argument("service")
    return parser.parse_args(words)


class Project:
    """A project of Compose, with its state in a file."""

    def __init__(self, name):
        self.folder = Path(os.environ[STATE])
        self.state = self.folder / f"{name}.json"

    def running(self):
        """Return what runs of it, or None."""
        return json.loads(self.state.read_text(encoding="utf-8")) if self.state.is_file() else None

    def up(self, file, timeout_s):
        """Run what a file says, unless that runs already; fail as Compose does when it does not get healthy."""
        from slipway.core.errors import SlipwayError
        from slipway.triton.client.ports import Ports
        from slipway.triton.server.installation import find_installation
        from slipway.triton.server.server_options import ServerChoice
        from slipway.triton.server.tritonserver import Server

        triton = composition(file)["services"]["triton"]
        [mount] = triton["volumes"]
        repository = (file.parent / mount["source"]).resolve()
        if not repository.is_dir():
            sys.exit(f"Error response from daemon: invalid mount config: bind source path does not exist: {repository}")
        runs = self.running()
        if runs and (runs["file"], runs["triton"]) == (str(file), triton):
            return
        self.down()
        inside = {str(each["target"]): int(each["published"]) for each in triton["ports"]}
        ports = Ports(inside["8000"], inside["8001"], inside["8002"], triton["ports"][0]["host_ip"])
        installation = find_installation(self.folder, ServerChoice("wheel"))
        server = Server(installation, [repository], ports, self.folder / "triton.log")
        process = server.start()
        said = {"file": str(file), "triton": triton, "pid": process.pid}
        self.state.write_text(json.dumps(said), encoding="utf-8")
        try:
            server.wait_until_ready(timeout_s)
        except SlipwayError:
            sys.exit(f"container {self.state.stem}-triton-1 is unhealthy")

    def down(self):
        """Stop what runs of it."""
        from slipway.triton.server.tritonserver import stop_process

        runs = self.running()
        if runs:
            stop_process(runs["pid"], 5)
            self.state.unlink()


def composition(file):
    """Return what a file says; fail as Compose does when it is not what it takes."""
    # Imported where it is needed, since most calls of this program only ask what runs.
    from slipway.core.errors import SlipwayError
    from slipway.manifests.validation import require_valid_composition

    found = yaml.safe_load(file.read_text(encoding="utf-8"))
    try:
        require_valid_composition(found)
    except SlipwayError as error:
        sys.exit(f"validating {file}: {error}")
    return found


def main(words):
    """Do what a command line asks for."""
    asked = options(words)
    project = Project(asked.project_name or (asked.file and composition(asked.file)["name"]))
    if asked.command == "version":
        print("2.40.2")
    elif asked.command == "config":
        composition(asked.file)
    elif asked.command == "up":
        project.up(asked.file, asked.wait_timeout)
    elif asked.command == "down":
        project.down()
    elif asked.command == "ls":
        files = Path(os.environ[STATE]).glob("*.json")
        found = [{"Name": each.stem, "Status": "running(3)", "ConfigFiles": running_file(each)} for each in files]
        print(json.dumps(found))
    elif asked.command == "ps":
        print(json.dumps({"Service": "triton", "State": "running", "Health": "healthy"}))
    else:
        subprocess.run(["tail", "-n", str(asked.tail), project.folder / f"{asked.service}.log"], check=True)


def running_file(state):
    """Return the file that a project was started from."""
    return json.loads(state.read_text(encoding="utf-8"))["file"]


if __name__ == "__main__":
    main(sys.argv[1:])
