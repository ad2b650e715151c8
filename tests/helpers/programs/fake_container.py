"""A stand-in for `docker` and `podman`: it takes the options that these take, and runs Triton for real.

Put on PATH by `install`, with a folder that says what it is like: whether its service answers, which images it has. A
container is the wheel's tritonserver on this machine, under the paths of the mounted folders. Its backends have the
names of those of NVIDIA's image.
"""

import json
import os
import platform
import shutil
import signal
import sys
import time
from pathlib import Path

import psutil

from helpers.programs.container_options import fail, options, require_sensible
from helpers.programs.container_server import start
from helpers.programs.stand_ins import put_on_path

STATE = "FAKE_CONTAINER_STATE"
IMAGE = "nvcr.io/nvidia/tritonserver:26.07-py3"
RELEASE, TENSORRT = "26.07", "11.1.0.106"


def install(folder, program="docker", images=(IMAGE,), answers=True, pullable=()):
    """Write the program into a folder for PATH; return the environment that it needs. `change` changes what it has."""
    state = folder / f"{program}-state"
    state.mkdir(parents=True)
    change(state, images=list(images), answers=answers, pullable=list(pullable), environment=environment())
    return put_on_path(folder, program, __file__, program) | {STATE: str(folder)}


def environment(release=RELEASE, tensorrt=TENSORRT):
    """Return the environment of an image of a release."""
    return {"NVIDIA_TRITON_SERVER_VERSION": release, "TRT_VERSION": tensorrt}


def change(state, **settings):
    """Change what a stand-in has: `images`, `pullable` ones, `environment` of them, whether its service `answers`.

    `gives_gpus` says whether it passes on GPUs; by default it has no driver for them.
    """
    path = state / "settings.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    path.write_text(json.dumps(before | settings), encoding="utf-8")


def containers(state):
    """Return {name: record} of the containers that are there, whether they run or not."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(state.glob("containers/*.json"))}


class Service:
    """The service behind a stand-in, with its state in a folder."""

    def __init__(self, program):
        self.program, self.state = program, Path(os.environ[STATE]) / f"{program}-state"
        self.settings = json.loads((self.state / "settings.json").read_text(encoding="utf-8"))
        if not self.settings["answers"]:
            sys.exit(f"Cannot connect to the {program} service. Is it running?")
        for name, record in containers(self.state).items():
            if record["pid"] and not lives(record["pid"]):  # --rm, also if the client is gone
                (self.state / "containers" / f"{name}.json").unlink(missing_ok=True)

    def info(self):
        if self.program == "podman":
            return {"host": {"serviceIsRemote": False, "hostname": platform.node()}}
        stated = {"Name": platform.node(), "SecurityOptions": ["name=seccomp,profile=builtin"]}
        return stated | self.settings.get("info", {})

    def image(self, name):
        """Return an image by its name or id; end as the real programs do if it is not here."""
        for image in self.settings["images"]:
            if name in (image, identity(image)):
                variables = [f"{key}={value}" for key, value in self.settings["environment"].items()]
                return {"Id": identity(image), "Config": {"Env": ["PATH=/usr/bin", *variables]}}
        sys.exit(f"Error response from daemon: No such image: {name}")

    def pull(self, image):
        if image not in self.settings["pullable"]:
            sys.exit(f"Error response from daemon: manifest for {image} not found: manifest unknown")
        change(self.state, images=[*self.settings["images"], image])
        print(image)

    def record(self, name):
        path = self.state / "containers" / f"{name}.json"
        if not path.is_file():
            sys.exit(f"Error response from daemon: No such container: {name}")
        return path, json.loads(path.read_text(encoding="utf-8"))

    def remove(self, name):
        path, record = self.record(name)
        if record["pid"]:
            try:
                server = psutil.Process(record["pid"])
                for process in [*server.children(recursive=True), server]:
                    process.kill()
            except psutil.NoSuchProcess:
                pass
        path.unlink(missing_ok=True)

    def run(self, asked):
        """Start a container, pass on SIGTERM as the clients do, write its output, and end as it ends."""
        require_sensible(self.program, asked, self.settings.get("gives_gpus", False))
        [name] = asked.name
        path = self.state / "containers" / f"{name}.json"
        if path.exists():
            fail(f'Conflict. The container name "/{name}" is already in use')
        self.image(asked.image)
        path.parent.mkdir(exist_ok=True)
        record = {"pid": 0, "options": {k: v for k, v in vars(asked).items() if k not in ("command", "words")}}
        write(path, record | {"words": asked.words})
        server = start(self.state / name, asked)
        write(path, record | {"words": asked.words, "pid": server})
        ended = []
        signal.signal(signal.SIGTERM, lambda *_: (ended.append(1), os.kill(server, signal.SIGTERM)))
        while lives(server):
            time.sleep(0.1)
        shutil.rmtree(self.state / name, ignore_errors=True)
        path.unlink(missing_ok=True)  # --rm
        return 0 if ended else 1


def lives(pid):
    """Say whether a process runs."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def identity(image):
    """Return the id of an image."""
    return f"sha256:{image.encode().hex():0<64}"[:71]


def write(path, content):
    """Write a record so that no reader sees half of it."""
    path.with_suffix(".partial").write_text(json.dumps(content), encoding="utf-8")
    path.with_suffix(".partial").rename(path)


def main(program, words):
    """Do what a command line asks for; return the exit code."""
    asked = options(program, words)
    service = Service(program)
    if asked.command == "info":
        print(json.dumps(service.info()))
    elif asked.command == "pull":
        service.pull(asked.image)
    elif asked.command == "image":
        found = service.image(asked.image)
        print(json.dumps(found if asked.format == "{{json .}}" else found["Config"]["Env"]))
    elif asked.command == "manifest":
        if asked.image not in [*service.settings["images"], *service.settings["pullable"]]:
            sys.exit(f"no such manifest: {asked.image}")
        print("{}")
    elif asked.command == "container":
        print(service.record(asked.container)[1]["pid"])
    elif asked.command == "ps":
        print("\n".join(containers(service.state)))
    elif asked.command == "rm":
        service.remove(asked.container)
    else:
        return service.run(asked)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
