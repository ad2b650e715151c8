"""A small disk for a scene, and copies of its files."""

import os
import shutil
import subprocess


def mount(folder, setting):
    """Mount a small file system on a folder; say whether that could be done."""
    command = ["mount", "-t", "tmpfs", "-o", setting, "tmpfs", str(folder)]
    return os.environ.get("SLIPWAY_CAMPAIGN_MOUNTS") == "1" and subprocess.run(command, check=False).returncode == 0


def copy(source, target):
    """Copy a file or a folder, where it is there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    elif source.exists():
        shutil.copy2(source, target)


def delete(path):
    """Remove whatever is at a path."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def made(folder):
    """Return a folder, which is made if it is missing."""
    folder.mkdir(exist_ok=True)
    return folder
