"""Prometheus and promtool for tests: those on PATH, else the distribution's package, unpacked without root."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import filelock
import pytest

PACKAGE = "prometheus"
TIMEOUT_S = 120
# Quick to give up where no mirror can be reached; root need not hand the download to another user.
PATIENCE = ("-o", "Acquire::http::Timeout=10", "-o", "Acquire::Retries=1", "-o", "APT::Sandbox::User=root")


class Unavailable(Exception):
    """Why there is no Prometheus."""


@dataclass(frozen=True)
class Programs:
    """Where the two programs are."""

    prometheus: Path
    promtool: Path


def programs_or_skip(config):
    """Return the programs, fetched at most once into pytest's cache; skip the test with the reason otherwise."""
    folder = config.cache.mkdir("prometheus") if hasattr(config, "cache") else Path(".pytest_cache/prometheus")
    try:
        return find(folder)
    except Unavailable as why:
        pytest.skip(f"no Prometheus here: {why}")


def find(folder):
    """Return the programs on PATH, or those of the package, which is unpacked below `folder` if it is not yet."""
    on_path = [shutil.which(name) for name in ("prometheus", "promtool")]
    if all(on_path):
        return Programs(*map(Path, on_path))
    programs = folder / "unpacked" / "usr" / "bin"
    with filelock.FileLock(folder / "fetching.lock"):
        if not (programs / "promtool").is_file():
            fetch(folder)
    return Programs(programs / "prometheus", programs / "promtool")


def fetch(folder):
    """Download the package and unpack it whole; with lists of packages of our own where the machine has none."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise Unavailable("it is not on PATH, and this is no Debian to fetch its package from")
    private = folder.resolve() / "apt"
    (private / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    own_lists = ("-o", f"Dir::State::Lists={private}/lists", "-o", f"Dir::Cache={private}")
    if run(folder, "apt-get", *PATIENCE, "download", PACKAGE):
        run(folder, "apt-get", *PATIENCE, *own_lists, "update")
        problem = run(folder, "apt-get", *PATIENCE, *own_lists, "download", PACKAGE)
        if problem:
            raise Unavailable(f"it is not on PATH, and apt-get download {PACKAGE} says: {problem}")
    package = max(folder.glob(f"{PACKAGE}_*.deb"))
    problem = run(folder, "dpkg-deb", "--extract", package.name, "partial")
    if problem:
        raise Unavailable(f"{package.name} cannot be unpacked: {problem}")
    (folder / "partial").rename(folder / "unpacked")
    package.unlink()
    shutil.rmtree(private)


def run(folder, *command):
    """Run a command in `folder`; return None when it did well, else the last thing that it said."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"nothing for {TIMEOUT_S} s"
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["nothing"])[-1]
