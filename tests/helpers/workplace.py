"""A folder in which the real workflow runs, by default with a tiny model, and what a test asks of it."""

import contextlib
import copy
import hashlib
import importlib
import io
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import yaml

from helpers import snakemake_forks
from helpers.patience import PATIENCE_S
from slipway.core import cli
from slipway.triton.client.ports import Ports

# A folder's name that a shell would split, expand and run, and that is no ASCII.
ODD = "a b;$(touch owned)'\"ä"
# Proxies that nobody can reach, which a client of a server on this machine must not ask.
CLOSED_PROXIES = {
    case(name): "http://127.0.0.1:9"
    for name in ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")
    for case in (str.lower, str.upper)
}
REPOSITORY = Path(__file__).resolve().parents[2]
ARCHITECTURE = "squeezenet1_1"
CROP = 64
TIMEOUT_S = 1200
# What Snakemake says of artifacts that were made in another environment, and how to have it overlook that.
OTHER_ENVIRONMENT = "Software environment definition has changed"
NOT_BY_ENVIRONMENT = ("--rerun-triggers", "mtime", "params", "input", "code")

WEIGHTS = "results/tiny/weights.safetensors"
REFERENCE = "results/tiny/reference_outputs.npz"
ONNX = "results/tiny/tiny.onnx"
ENGINE_RECORD = "results/tiny/cpu/tiny.fp32.engine.json"
ACCURACY = "results/tiny/cpu/tiny.fp32.accuracy.json"


def free_ports():
    """Return the ports of a `deploy` section, which nobody listens on."""
    free = Ports.free()
    return {"http_port": free.http, "grpc_port": free.grpc, "metrics_port": free.metrics}


def tiny_configuration():
    """Return the smallest configuration that makes sense; its checkpoint is good.pth in the workplace."""
    return {
        "models": {
            "tiny": {
                "architecture": ARCHITECTURE,
                "weights": "good.pth",
                "preprocess": {"resize": 72, "crop": CROP},
            }
        },
        "targets": {"cpu": {"precisions": ["fp32"]}},
        "profile": {"steps": 1},
        "benchmark": {
            "batch_sizes": [1],
            "seconds": 0.1,
            "warmup_seconds": 0.05,
            "min_samples": 2,
            "budget_seconds": 1,
        },
        "load_test": {
            "p99_limit_ms": 10_000,
            "concurrency": [1],
            "instances": [1],
            "max_batch_sizes": [2],
            "requests": 10,
            "request_rates": [],
        },
        "deploy": {**free_ports(), "ready_timeout_s": PATIENCE_S},
    }


def random_checkpoint(path, seed, **arguments):
    """Write a state dict with seeded random weights, as a user's training would with torch.save."""
    import torch
    import torchvision

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.save(torchvision.models.get_model(ARCHITECTURE, weights=None, **arguments).state_dict(), path)


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit code and everything that it said."""

    code: int
    said: str

    def succeeded(self):
        """Require exit code 0."""
        assert self.code == 0, self.said
        return self

    def refused(self, *phrases):
        """Require an exit code other than 0, each of the phrases said, and no failure that nobody foresaw."""
        assert self.code != 0, f"it should have failed, but it said:\n{self.said}"
        words = " ".join(self.said.split())
        missing = [phrase for phrase in phrases if phrase not in words]
        assert not missing, f"it does not say {missing}, but:\n{self.said}"
        assert "error: unexpected" not in self.said, f"the failure was not foreseen:\n{self.said}"
        return self


@dataclass
class Workplace:
    """A folder with a config.yaml, where the workflow and its programs run."""

    folder: Path
    config: dict = field(default_factory=tiny_configuration)
    repository: Path = REPOSITORY

    def __post_init__(self):
        self.write_config()

    def write_config(self):
        """Write the configuration as it stands, unless the file says so already."""
        path, text = self.folder / "config.yaml", yaml.safe_dump(self.config, sort_keys=False).encode()
        if not path.is_file() or path.read_bytes() != text:
            path.write_bytes(text)

    def configure(self, dotted, value):
        """Set one key, such as "models.tiny.weights", and write the file."""
        *parents, last = dotted.split(".")
        section = self.config
        for name in parents:
            section = section.setdefault(name, {})
        section[last] = value
        self.write_config()

    def snakemake_command(self, *targets):
        """Return the command line that makes `targets` here."""
        return [
            str(Path(sys.executable).with_name("snakemake")),
            *("-s", str(self.repository / "Snakefile"), "--directory", str(self.folder)),
            *("--profile", str(self.repository / "profiles" / "default"), "--cores", "1", *targets),
        ]

    def program_command(self, name, *options):
        """Return the command line of a program of scripts/."""
        return [sys.executable, str(self.repository / "scripts" / f"{name}.py"), *map(str, options)]

    def run(self, command, **environment):
        """Run a command here and return how it ended."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
        return Outcome(done.returncode, done.stdout)

    def snakemake(self, *targets, **environment):
        """Make `targets` with the workflow."""
        command, environment = self.snakemake_command(*targets), {**os.environ, **environment}
        if not snakemake_forks.starts_alike(environment):
            return self.run(command, **environment)
        return Outcome(*snakemake_forks.run(command[1:], self.folder, environment, TIMEOUT_S))

    def program(self, name, *options, **environment):
        """Run a program of scripts/ without the workflow."""
        return self.run(self.program_command(name, *options), **environment)

    def program_here(self, name, *options):
        """Run a program of scripts/ in this process, where its libraries were imported once."""
        module, said, code = importlib.import_module(name), io.StringIO(), 0
        with (
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
            mock.patch.object(cli, "_terminal", said),
        ):
            try:
                cli.run(module.main, module.parse_arguments([str(option) for option in options]))
            except SystemExit as ended:
                code = ended.code
        return Outcome(code, said.getvalue())

    def copied(self, folder):
        """Return a copy of this folder; at the same depth, Snakemake finds its work done."""
        shutil.copytree(self.folder, folder, symlinks=True, dirs_exist_ok=True)
        repository = folder if self.repository == self.folder else self.repository
        return Workplace(folder, copy.deepcopy(self.config), repository)

    @property
    def ports(self):
        """Return where the local server listens."""
        chosen = self.config["deploy"]
        return Ports(chosen["http_port"], chosen["grpc_port"], chosen["metrics_port"])

    def path(self, name):
        """Return a file of this folder."""
        return self.folder / name

    def artifacts(self, *left_out):
        """Return {path: SHA-256} of every artifact below results/ but the names in `left_out`."""
        return {
            name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted((self.folder / "results").rglob("*"))
            if path.is_file()
            and path.suffix != ".lock"
            and not {".provenance", ".measured"} & {*path.parts}
            and (name := path.relative_to(self.folder).as_posix()) not in left_out
        }

    def partial_files(self):
        """Return what a program wrote but never finished."""
        return [path.relative_to(self.folder).as_posix() for path in (self.folder / "results").rglob(".partial.*")]
