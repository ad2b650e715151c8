"""A disk that is full, in a mount namespace of its own."""

import shutil
import subprocess

NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]
# A folder becomes a file system on which nothing more can be written.
_FULL = 'mount -t tmpfs -o size=4k tmpfs "$1" && head -c 4096 /dev/zero > "$1/filled" || exit 99; shift; "$@"'


def can_mount(folder):
    """Say whether this user may mount a file system in a namespace of its own."""
    if not all(map(shutil.which, ("unshare", "mount", "bash", "du"))):
        return False
    command = [*NAMESPACE, "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def where_full(folder, command):
    """Return the command line that runs another one while the disk of a folder is full."""
    return [*NAMESPACE, "bash", "-c", _FULL, "bash", str(folder), *map(str, command)]
