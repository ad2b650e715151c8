"""Running the real workflow in a folder of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from slipway.triton.server import Ports

REPOSITORY = Path(__file__).resolve().parents[2]
# A real classifier, small enough for a whole chain in a minute and a half.
SMALL = {
    "models": {
        "small": {
            "architecture": "shufflenet_v2_x0_5",
            "preprocess": {"resize": 72, "crop": 64, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
        }
    },
    "targets": {
        "cpu": {"runtime": "auto", "precisions": ["fp32"]},
        "ort": {"runtime": "onnxruntime", "precisions": ["fp32"]},
    },
    "benchmark": {"batch_sizes": [1, 2], "seconds": 0.2, "warmup_seconds": 0.1, "min_samples": 5},
    "load_test": {"concurrency": [1, 2], "instances": [1], "max_batch_sizes": [4], "window_ms": 300},
}


class Checkout:
    """A working directory with a config.yaml, in which this repository's Snakefile is run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = Ports.free()

    def configure(self, config: dict) -> None:
        """Write config.yaml, with free ports."""
        listening = {"http_port": self.ports.http, "grpc_port": self.ports.grpc, "metrics_port": self.ports.metrics}
        config = {**config, "deploy": {**config.get("deploy", {}), **listening}}
        (self.folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")

    def snakemake(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        """Run snakemake here; stdout and stderr come back as one text."""
        command = [
            str(Path(sys.executable).with_name("snakemake")),
            *("-s", str(REPOSITORY / "Snakefile"), "--directory", str(self.folder)),
            *("--profile", str(REPOSITORY / "profiles" / "default"), "--cores", "1"),
            *arguments,
        ]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900)
        if check and done.returncode:
            pytest.fail(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}", pytrace=False)
        return done

    def path(self, name: str) -> Path:
        """Return a file below results/."""
        return self.folder / "results" / name


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory):
    """Return a checkout in which a small model was carried all the way to a live server."""
    checkout = Checkout(tmp_path_factory.mktemp("small"))
    checkout.configure(SMALL)
    checkout.first_output = checkout.snakemake("deploy").stdout
    yield checkout
    checkout.snakemake("undeploy", check=False)


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory):
    """Return a copy of this repository that shares its environment, as a user has it after the installation."""
    folder = tmp_path_factory.mktemp("clone") / "slipway"
    ignored = shutil.ignore_patterns(".git", ".venv", "results", "logs", ".snakemake", "__pycache__", ".gpu")
    shutil.copytree(REPOSITORY, folder, ignore=ignored)
    environment = Path(sys.executable).parents[1]
    (folder / ".venv").symlink_to(environment)
    for stamp in ("installed", "installed-test"):
        if not (environment / stamp).exists():
            pytest.skip(f"this environment was not made by the Makefile: {environment / stamp} is missing")
    checkout = Checkout(folder)
    config = (folder / "config.yaml").read_text(encoding="utf-8")
    for port, free in {8000: checkout.ports.http, 8001: checkout.ports.grpc, 8002: checkout.ports.metrics}.items():
        config = config.replace(f"_port: {port}", f"_port: {free}")
    (folder / "config.yaml").write_text(config, encoding="utf-8")
    os.utime(folder / "config.yaml")
    yield checkout
    subprocess.run(["make", "undeploy"], cwd=folder, check=False, capture_output=True)
