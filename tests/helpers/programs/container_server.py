"""The server of a container: the wheel's tritonserver, under the paths of the mounted folders."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from helpers.programs.container_options import fail


def start(folder, asked):
    """Start the server of a container outside of its client's family; return its process id.

    It runs in a working folder as in a container: the one of --workdir.
    """
    from slipway.triton.server.installation import find_installation
    from slipway.triton.server.server_options import ServerChoice

    assert asked.words[0] == "tritonserver", asked.words
    folder.mkdir(exist_ok=True)
    # In a container paths are plain; here links are.
    mounts = {}
    for number, (target, source) in enumerate(mounts_of(asked).items()):
        mounts[target] = folder / f"mount{number}"
        mounts[target].symlink_to(source)
    installation = find_installation(folder, ServerChoice("wheel"))
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


def mounts_of(asked):
    """Return {path in the container: path here}, by the CSV of --mount."""
    fields = [next(csv.reader([value])) for value in asked.mount]
    pairs = [dict(field.partition("=")[::2] for field in line) for line in fields]
    for pair in pairs:
        if not Path(pair["source"]).exists():
            fail(f'invalid mount config for type "bind": bind source path does not exist: {pair["source"]}')
    return {pair["target"]: pair["source"] for pair in pairs}


def outside(word, mounts):
    """Return a word of the command line with a path of the container as the path of the mounted folder here."""
    flag, equals, path = word.partition("=")
    for target, source in mounts.items():
        if path == target or path.startswith(f"{target}/"):
            return f"{flag}{equals}{source}{path.removeprefix(target)}"
    return word
