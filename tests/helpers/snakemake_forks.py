"""Snakemake in forks of a process that has imported it, since the import takes as long as a plan of a tiny model.

A fork has arguments, folder, environment and output of its own, and nothing of Slipway was imported before it.
"""

import atexit
import contextlib
import functools
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = Path(sys.executable).with_name("snakemake")


def starts_alike(environment):
    """Say whether an interpreter would start as this one did: what it reads only then is the same."""
    return _at_start(environment) == _at_start(os.environ)


def _at_start(environment):
    return {name: value for name, value in environment.items() if name.startswith(("PYTHON", "LD_", "VIRTUAL_ENV"))}


def run(arguments, folder, environment, timeout_s):
    """Run `snakemake ARGUMENTS` in a folder; return its exit code, negative for a signal, and its output.

    Raises TimeoutExpired. Then the process that forks is gone, too, and the next call starts another.
    """
    if _server().poll() is not None:  # a test that stops what others left behind may have stopped it
        _server.cache_clear()
    server = _server()
    with tempfile.TemporaryDirectory(prefix="snakemake") as place:
        output = Path(place) / "output"
        output.touch()
        request = {"folder": str(folder), "environment": dict(environment), "output": str(output)}
        server.stdin.write(json.dumps({"arguments": list(map(str, arguments)), **request}) + "\n")
        server.stdin.flush()
        if not select.select([server.stdout], [], [], timeout_s)[0]:
            _end(server)
            raise subprocess.TimeoutExpired([PROGRAM, *arguments], timeout_s, output.read_bytes())
        return int(server.stdout.readline()), output.read_text(encoding="utf-8", errors="replace")


@functools.cache
def _server():
    server = subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )
    atexit.register(_end, server)
    return server


def _end(server):
    _server.cache_clear()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)  # its forks are of its group
    server.communicate()


def serve():
    """Fork once for each request; write the exit code of each fork."""
    import snakemake.cli
    from snakemake.workflow import Workflow

    for line in sys.stdin:
        fork = os.fork()
        if not fork:
            become(**json.loads(line))
            Workflow._rundir = str(Path.cwd())  # it was the folder where Snakemake was imported
            sys.exit(snakemake.cli.main())
        print(os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1]), flush=True)


def become(arguments, folder, environment, output):
    """Make this process what a shell's would be, with output in a file."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for name, descriptors in {os.devnull: (0,), output: (1, 2)}.items():
        opened = os.open(name, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        for descriptor in descriptors:
            os.dup2(opened, descriptor)
        os.close(opened)
    sys.path[0] = str(PROGRAM.parent)
    sys.argv = [str(PROGRAM), *arguments]


if __name__ == "__main__":
    serve()
