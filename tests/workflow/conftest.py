"""The real workflow, from end to end: once with a small model, once as a newcomer has it after the installation."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers.artifacts.deployed import place, trainings  # noqa: F401
from helpers.kubernetes_api.site import api, trained_servers  # noqa: F401
from helpers.workplace import CLOSED_PROXIES, ODD, REPOSITORY, Workplace, free_ports

# A real classifier, small enough for a whole chain in a minute and a half.
SMALL = {
    "models": {"small": {"architecture": "shufflenet_v2_x0_5", "preprocess": {"resize": 72, "crop": 64}}},
    "targets": {
        "cpu": {"runtime": "auto", "precisions": ["fp32"]},
        "ort": {"runtime": "onnxruntime", "precisions": ["fp32"]},
    },
    "benchmark": {"batch_sizes": [1, 2], "seconds": 0.2, "warmup_seconds": 0.1, "min_samples": 5, "budget_seconds": 1},
    # A real search, which finds that it has little to vary.
    "load_test": {
        "p99_limit_ms": 10_000,
        "concurrency": [1, 2],
        "instances": [1],
        "max_batch_sizes": [4],
        "batching_delays_us": [100],
        "search": "quick",
        "requests": 20,
        "capacity_minutes": 0.2,
    },
}
# A newcomer's measurements, shorter, of the same batch sizes, concurrencies and instances, and a limit that a machine
# which is busy with other tests keeps.
SHORTER = {
    "seconds": 0.5,
    "warmup_seconds": 0.1,
    "min_samples": 3,
    "budget_seconds": 3,
    "requests": 5,
    "capacity_minutes": 0.1,
    "p99_limit_ms": 10_000,
}


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """Return a folder in which a small model was carried all the way to a live server.

    The folder has an odd name, as has the one for temporary files, and the environment names proxies that are gone.
    """
    folder = tmp_path_factory.mktemp("small") / ODD
    (folder / "temporary").mkdir(parents=True)
    workplace = Workplace(folder, {**SMALL, "deploy": free_ports()})
    odd = CLOSED_PROXIES | {"TMPDIR": str(folder / "temporary")}
    workplace.first_words = workplace.snakemake("deploy", **odd).succeeded().said
    yield workplace
    workplace.snakemake("undeploy")


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    """Return a copy of this repository that shares its environment; its ports and windows are others."""
    environment = Path(sys.executable).parents[1]
    for stamp in ("installed", "installed-test"):
        if not (environment / stamp).exists():
            pytest.skip(f"this environment was not made by the Makefile: {environment / stamp} is missing")
    folder = tmp_path_factory.mktemp("clone") / "slipway"
    left_out = shutil.ignore_patterns(".*", "results", "logs", "__pycache__")
    shutil.copytree(REPOSITORY, folder, ignore=left_out)
    (folder / ".venv").symlink_to(environment)
    text = (folder / "config.yaml").read_text(encoding="utf-8")
    for name, value in {**free_ports(), **SHORTER}.items():
        # Of two settings with this name, such as min_samples, the first one is of `benchmark`.
        text, changes = re.subn(rf"^(  {name}:) \S+", rf"\1 {value}", text, count=1, flags=re.MULTILINE)
        assert changes == 1, name
    workplace = Workplace(folder, yaml.safe_load(text))
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    yield workplace
    subprocess.run(["make", "undeploy"], cwd=folder, check=False, capture_output=True)
