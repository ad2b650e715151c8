"""A stand-in for `docker` and `podman`: it takes the options that these take, and runs Triton for real.

Put on PATH by `install`, with a folder that says what it is like: whether its service answers, which images it has. A
container is the wheel's tritonserver on this machine, under the paths of the mounted folders. Its backends have the
names of those of NVIDIA's image.
"""

import argparse
import csv
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from helpers.programs.stand_ins import put_on_path

STATE = "FAKE_CONTAINER_STATE"
IMAGE = "nvcr.io/nvidia/tritonserver:26.07-py3"
RELEASE, TENSORRT = "26.07", "11.1.0.106"
# The values that options of `run` may have; argparse refuses all other options, as the real programs do.
ANY = ".+"
VALUES = {
    "both": {
        "pull": "always|missing|never",
        "name": "[a-zA-Z0-9][a-zA-Z0-9_.-]+",
        "label": "[^=]+=.*",
        "network": "host|none|bridge",
        "user": r"\d+:\d+",
        "cap-drop": "ALL",
        "security-opt": "no-new-privileges|label=disable",
        "tmpfs": "/.*",
        "shm-size": r"\d+[bkmg]",
        "ipc": "host|private|shareable|none",
        "env": "[A-Za-z_][A-Za-z0-9_]*=.*",
        "mount": 'type=bind,"?source=/.*"?,target=/[^,]*,readonly',
        "workdir": "/.*",
        "cpuset-cpus": r"\d+(,\d+)*",
    },
    "docker": {"userns": "host", "gpus": r"all|device=.+|\d+"},
    "podman": {"userns": "host|keep-id", "device": "nvidia.com/gpu=all"},
}
FLAGS = ("rm", "read-only")


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
    """Change what a stand-in has: `images`, `pullable` ones, `environment` of them, whether its service `answers`."""
    path = state / "settings.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    path.write_text(json.dumps(before | settings), encoding="utf-8")


def containers(state):
    """Return {name: record} of the containers that are there, whether they run or not."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(state.glob("containers/*.json"))}


def options(program, words):
    """Return the options of a command line; argparse ends the program on one that the real client does not have."""
    parser = argparse.ArgumentParser(prog=program, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name, *positional, under=commands, **formats):
        added = under.add_parser(name, allow_abbrev=False)
        for option, allowed in formats.items():
            added.add_argument(f"--{option}", choices=allowed, required=True)
        for each in positional:
            added.add_argument(each)
        return added

    def group(name):
        return commands.add_parser(name, allow_abbrev=False).add_subparsers(dest="inner", required=True)

    command("info", format=["{{json .}}"])
    command("pull", "image")
    command("inspect", "image", under=group("image"), format=["{{json .}}", "{{json .Config.Env}}"])
    command("inspect", "image", under=group("manifest"))
    command("inspect", "container", under=group("container"), format=["{{.State.Pid}}"])
    listing = command("ps", format=["{{.Names}}"])
    listing.add_argument("--all", action="store_true")
    listing.add_argument("--filter", choices=["label=slipway.server"])
    command("rm", "container").add_argument("--force", action="store_true", required=True)
    run = commands.add_parser("run", allow_abbrev=False)
    for name in FLAGS:
        run.add_argument(f"--{name}", action="store_true")
    for name in VALUES["both"] | VALUES[program]:
        run.add_argument(f"--{name}", action="append", default=[])
    run.add_argument("image")
    run.add_argument("words", nargs=argparse.REMAINDER)
    return parser.parse_args(words)


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
        require_sensible(self.program, asked)
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


def fail(message):
    """End as `docker run` does if no container was started."""
    print(f"docker: Error response from daemon: {message}", file=sys.stderr)
    sys.exit(125)


def require_sensible(program, asked):
    """End if an option has a value that the real program refuses."""
    for name, pattern in (VALUES["both"] | VALUES[program]).items():
        for value in getattr(asked, name.replace("-", "_")):
            if not re.fullmatch(pattern, value):
                print(f'invalid argument "{value}" for "--{name}" flag', file=sys.stderr)
                sys.exit(125)
    if asked.ipc == ["host"] and asked.shm_size:
        fail("conflicting options: --shm-size and --ipc=host")
    if getattr(asked, "gpus", None) or getattr(asked, "device", None):
        fail('could not select device driver "" with capabilities: [[gpu]]')


def mounts_of(asked):
    """Return {path in the container: path here}, by the CSV of --mount."""
    fields = [next(csv.reader([value])) for value in asked.mount]
    pairs = [dict(field.partition("=")[::2] for field in line) for line in fields]
    for pair in pairs:
        if not Path(pair["source"]).exists():
            fail(f'invalid mount config for type "bind": bind source path does not exist: {pair["source"]}')
    return {pair["target"]: pair["source"] for pair in pairs}


def start(folder, asked):
    """Start the server of a container outside of its client's family; return its process id.

    It runs in a working folder as in a container: the one of --workdir.
    """
    from slipway.triton.server.tritonserver import find_installation

    assert asked.words[0] == "tritonserver", asked.words
    folder.mkdir(exist_ok=True)
    # In a container paths are plain; here links are.
    mounts = {}
    for number, (target, source) in enumerate(mounts_of(asked).items()):
        mounts[target] = folder / f"mount{number}"
        mounts[target].symlink_to(source)
    installation = find_installation(folder, {"a backend that no server has"})
    library = folder / "backends" / "python" / "libtriton_python.so"
    shutil.copyfile(library.resolve(), library.with_suffix(".own"))
    library.with_suffix(".own").rename(library)  # for other backends Triton takes no link to a file elsewhere
    for name in ("openvino", "onnxruntime"):
        backend = folder / "backends" / name
        backend.mkdir()
        shutil.copyfile(Path(__file__).with_name("image_backend.py"), backend / "model.py")
    words = [outside(word, mounts) for word in asked.words[1:]]
    command = [installation.program, f"--backend-directory={folder / 'backends'}", *words]
    variables = {"PATH": os.environ["PATH"], **dict(value.partition("=")[::2] for value in asked.env)}
    workdir = outside(f"x={asked.workdir[0]}", mounts).partition("=")[2]
    # The launcher's child is nobody's child soon, as a container's server is not a child of its client.
    launcher = (
        "import json, os, subprocess, sys; told = json.load(sys.stdin); "
        "os.sched_setaffinity(0, told['cpus'] or os.sched_getaffinity(0)); "
        "print(subprocess.Popen(told['command'], cwd=told['cwd'], env=told['env'], stdin=subprocess.DEVNULL, "
        "stdout=2, stderr=2, start_new_session=True).pid)"
    )
    cpus = [int(cpu) for value in asked.cpuset_cpus for cpu in value.split(",")]
    told = {"command": command, "cwd": str(workdir), "env": variables, "cpus": cpus}
    done = subprocess.run(
        [sys.executable, "-c", launcher], input=json.dumps(told), stdout=subprocess.PIPE, text=True, check=True
    )
    return int(done.stdout)


def outside(word, mounts):
    """Return a word of the command line with a path of the container as the path of the mounted folder here."""
    flag, equals, path = word.partition("=")
    for target, source in mounts.items():
        if path == target or path.startswith(f"{target}/"):
            return f"{flag}{equals}{source}{path.removeprefix(target)}"
    return word


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
