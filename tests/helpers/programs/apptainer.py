"""A real Apptainer from Debian's packages, not installed, and images that are folders and see the programs here."""

import shutil
import sys
from pathlib import Path

from helpers.programs.debian_packages import Unavailable, run, unpacked

# Only sid has it. It comes with the C library that it wants, which patchelf makes it find.
SUITE = "sid"
PACKAGES = ("apptainer", "libc6", "libgcc-s1", "libseccomp2", "libsqlite3-0", "libstdc++6", "patchelf")
# What an image needs of this machine to run its Python: the system, and where that Python and its packages lie.
SEEN = ("/usr", "/bin", "/lib", "/lib64", sys.prefix, sys.base_prefix)
OPTIONS = f"--userns --bind {','.join(path for path in SEEN if Path(path).exists())}"
LIBRARIES = Path("usr/lib/x86_64-linux-gnu")
PROGRAMS = ("usr/bin/apptainer", str(LIBRARIES / "apptainer/bin/starter"))
LINKS = {"usr/etc": "../etc", "usr/var": "../var", "usr/lib/etc": "../../etc", "usr/lib/var": "../../var"}
# The image's Python notes which program it runs, then does so as this machine's.
PYTHON = """#!/bin/sh
echo "$APPTAINER_CONTAINER $1" >> {notes}
exec {python} "$@"
"""


def apptainer_or_unavailable(packages):
    """Return the folder that has `apptainer`, below the folder `packages`; raise Unavailable where it does not run."""
    root = unpacked(packages, PACKAGES, SUITE)
    if not (root / "ready").exists():
        _prepare(root)
    return root / "usr" / "bin"


def folder_image(folder, notes):
    """Make a folder an image, whose `python` adds a line to the file `notes` for each program that it runs."""
    for name in ("proc", "sys", "dev", "tmp", "etc", "only-here/bin", ".singularity.d/env"):
        (folder / name).mkdir(parents=True)
    python = folder / "only-here" / "bin" / "python"
    python.write_text(PYTHON.format(notes=notes, python=sys.executable), encoding="utf-8")
    python.chmod(0o755)
    environment = folder / ".singularity.d" / "env" / "10-path.sh"
    environment.write_text("export PATH=/only-here/bin:/usr/bin:/bin\n", encoding="utf-8")
    return folder


def _prepare(root):
    """Let the programs find their libraries, and their configuration where they look for it once they were moved."""
    libraries = root / LIBRARIES
    loader = libraries / "ld-linux-x86-64.so.2"
    changes = ("--set-interpreter", loader, "--force-rpath", "--set-rpath", libraries)
    for program in PROGRAMS:
        _do(root, loader, "--library-path", libraries, root / "usr/bin/patchelf", *changes, root / program)
    (root / "var/lib/apptainer/mnt/session").mkdir(parents=True, exist_ok=True)
    for link, place in LINKS.items():
        (root / link).unlink(missing_ok=True)
        (root / link).symlink_to(place)
    shutil.rmtree(root / "image", ignore_errors=True)
    image = folder_image(root / "image", "/dev/null")
    _do(root, root / PROGRAMS[0], "exec", *OPTIONS.split(), image, "python", "-c", "")
    (root / "ready").touch()


def _do(root, *command):
    problem = run(root, *map(str, command))
    if problem:
        raise Unavailable(f"a program of Debian's {SUITE} does not run: {problem}")
