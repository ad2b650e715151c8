"""The options of `docker` and `podman`, and the values that these take."""

import argparse
import re
import sys

# The values that options of `run` may have; argparse refuses all other options, as the real programs do.
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
    command("inspect", "image", under=group("image"), format=["{{json .}}"])
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


def require_sensible(program, asked, gives_gpus):
    """End if an option has a value that the real program refuses, or with which the server could not read its files."""
    for name, pattern in (VALUES["both"] | VALUES[program]).items():
        for value in getattr(asked, name.replace("-", "_")):
            if not re.fullmatch(pattern, value):
                print(f'invalid argument "{value}" for "--{name}" flag', file=sys.stderr)
                sys.exit(125)
    if asked.ipc == ["host"] and asked.shm_size:
        fail("conflicting options: --shm-size and --ipc=host")
    if getattr(asked, "gpus", None) and not gives_gpus:
        fail('could not select device driver "" with capabilities: [[gpu]]')
    if getattr(asked, "device", None) and not gives_gpus:
        fail("setting up CDI devices: unresolvable CDI devices nvidia.com/gpu=all")
    if program == "podman" and not asked.user[0].startswith("0:") and asked.userns != ["keep-id"]:
        # Without it, the id in the container is another one on this machine.
        fail("tritonserver: cannot open the model repository: Permission denied")


def fail(message):
    """End as `docker run` does if no container was started."""
    print(f"docker: Error response from daemon: {message}", file=sys.stderr)
    sys.exit(125)
