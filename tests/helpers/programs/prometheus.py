"""Prometheus and promtool for tests: those on PATH, else the distribution's package, unpacked without root."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from helpers.programs.debian_packages import Unavailable, unpacked


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
        pytest.skip(f"no Prometheus here: it is not on PATH, and {why}")


def find(folder):
    """Return the programs on PATH, or those of the package, which is unpacked below `folder` if it is not yet."""
    on_path = [shutil.which(name) for name in ("prometheus", "promtool")]
    if all(on_path):
        return Programs(*map(Path, on_path))
    programs = unpacked(folder, ["prometheus"]) / "usr" / "bin"
    return Programs(programs / "prometheus", programs / "promtool")
