"""Debian packages for tests, fetched and unpacked without root and without installing anything."""

import shutil
import subprocess

import filelock

TIMEOUT_S = 120
# Where a suite lies that this machine does not take its packages from.
SOURCE = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian {suite} main\n"
# Quick to give up where no mirror can be reached; root need not hand the download to another user.
PATIENCE = ("-o", "Acquire::http::Timeout=10", "-o", "Acquire::Retries=1", "-o", "APT::Sandbox::User=root")


class Unavailable(Exception):
    """Why there are no packages."""


def unpacked(folder, packages, suite=None):
    """Return the folder below `folder` that the packages are unpacked in, fetched at most once; else Unavailable.

    They are those of the machine's own release, or of another of Debian's, such as "sid".
    """
    with filelock.FileLock(folder / "fetching.lock"):
        if not (folder / "unpacked").is_dir():
            fetch(folder, packages, suite)
    return (folder / "unpacked").resolve()


def fetch(folder, packages, suite):
    """Download the packages and unpack them whole; with lists of packages of our own where the machine has none."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise Unavailable("this is no Debian to fetch packages from")
    private = folder.resolve() / "apt"
    (private / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    own_lists = ["-o", f"Dir::State::Lists={private}/lists", "-o", f"Dir::Cache={private}"]
    if suite:
        (private / "sources.list").write_text(SOURCE.format(suite=suite), encoding="utf-8")
        own_lists += ["-o", f"Dir::Etc::SourceList={private}/sources.list", "-o", "Dir::Etc::SourceParts=-"]
        own_lists += ["-o", "Acquire::Languages=none"]
    if suite or run(folder, "apt-get", *PATIENCE, "download", *packages):
        run(folder, "apt-get", *PATIENCE, *own_lists, "update")
        problem = run(folder, "apt-get", *PATIENCE, *own_lists, "download", *packages)
        if problem:
            raise Unavailable(f"apt-get download {' '.join(packages)} says: {problem}")
    shutil.rmtree(folder / "partial", ignore_errors=True)
    for package in sorted(folder.glob("*.deb")):
        problem = run(folder, "dpkg-deb", "--extract", package.name, "partial")
        if problem:
            raise Unavailable(f"{package.name} cannot be unpacked: {problem}")
        package.unlink()
    (folder / "partial").rename(folder / "unpacked")
    shutil.rmtree(private)


def run(folder, *command):
    """Run a command in `folder`; return None when it did well, else the last thing that it said."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"nothing for {TIMEOUT_S} s"
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["nothing"])[-1]
