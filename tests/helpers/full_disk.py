"""A disk that is full, in a mount namespace of its own."""

import shutil
import subprocess

NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]
# A folder becomes a small file system with what was in it, on which nothing more can be written.
_FULL = """
content=$(mktemp -d) && cp -a "$1/." "$content" && mount -t tmpfs -o size=64k tmpfs "$1" &&
    cp -a "$content/." "$1" || exit 99
rm -r "$content"
cat /dev/zero > "$1/filled" 2> /dev/null
shift
"$@"
"""


def can_mount(folder):
    """Say whether this user may mount a file system in a namespace of its own."""
    if not all(map(shutil.which, ("unshare", "mount", "bash", "du"))):
        return False
    command = [*NAMESPACE, "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def where_full(folder, command):
    """Return the command line that runs another one while the disk of a folder is full."""
    return [*NAMESPACE, "bash", "-c", _FULL, "bash", str(folder), *map(str, command)]
