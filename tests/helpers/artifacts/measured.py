"""What was measured and chosen for targets, as the workflow leaves it, and the program that makes manifests of it."""

import functools
import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path

import kubernetes_validate.utils
import yaml

from slipway.core.artifacts import read_json, sha256, write_json
from slipway.deploy.platforms import manifest_files
from slipway.keys.config import complete
from slipway.keys.job_keys import JobKeys
from slipway.keys.validation import resolve
from write_manifests import main, parse_arguments

# Reading Kubernetes' schemas anew for every object would take most of a test's time.
kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)

H100 = "NVIDIA H100 80GB HBM3 (compute capability 9.0)"
L4 = "NVIDIA L4 (compute capability 8.9)"
CPU = "AMD EPYC [avx2 avx512f] x4"
DIGEST = "nvcr.io/nvidia/tritonserver:26.08-py3@sha256:" + "ab" * 32
FILES = ("arena.sh", "arena.yaml", "kubernetes.yaml", "kserve.yaml", "compose.yaml", "manifests.json")


def gpu_target(hardware=H100, **settings):
    """Return a declared TensorRT target, of which nothing needs to be here."""
    return {
        "runtime": "tensorrt",
        "hardware": hardware,
        "precisions": ["fp16"],
        "tensorrt": {"version": "11.2.1.2"},
        **settings,
    }


def cpu_target():
    """Return a CPU target."""
    return {"runtime": "openvino", "hardware": CPU, "precisions": ["fp32"]}


@dataclass
class Measured:
    """A folder in which a model was measured on the targets of a configuration, and what `deploy` says there."""

    folder: Path
    targets: dict = field(default_factory=lambda: {"h100": gpu_target()})
    deploy: dict = field(default_factory=dict)
    triton: dict = field(default_factory=lambda: {"release": "26.08", "image": DIGEST})
    model: str = "resnet50"
    origin: str = "checkpoint"
    rows: dict = field(default_factory=dict)
    capacities: dict = field(default_factory=dict)
    native_backends: bool = True

    def path(self, name):
        """Return a file below results/<model>/."""
        return self.folder / "results" / self.model / name

    def measure(self):
        """Write the load test, the selection and the repository's index of each target, each naming the one before."""
        for target, settings in self.targets.items():
            rows = self._rows(target, settings)
            load_test = self.path(f"{target}/analysis/analysis.json")
            stated = {"program": "tritonserver", "native_backends": self.native_backends}
            server = stated | {"run": "path", "release": self.triton.get("release")}
            write_json(load_test, {"origin": self.origin, "server": server, "measurements": rows})
            selection = self.path(f"{target}/selection.json")
            write_json(selection, self._selection(target, rows, sha256(load_test)))
            write_json(self.path(f"{target}/repository.json"), self._index(settings, sha256(selection)))
        return self

    def resolved(self):
        """Return the resolved configuration."""
        config = {"models": {self.model: {}}, "targets": self.targets, "deploy": self.deploy, "triton": self.triton}
        return resolve(complete(json.loads(json.dumps(config))))

    def arguments(self):
        """Return the program's options, as the rule gives them."""
        resolved = self.resolved()
        kinds = {"indexes": "repository.json", "selections": "selection.json", "load-tests": "analysis/analysis.json"}
        options = ["--model", self.model]
        for option, name in kinds.items():
            options += [f"--{option}", *(str(self.path(f"{target}/{name}")) for target in resolved.fleet)]
        options += ["--files", *(str(self.path(f"deploy/{name}")) for name in manifest_files())]
        options += ["--record", str(self.path("deploy/manifests.json"))]
        settings = JobKeys(resolved).write_manifests()
        settings.pop("code")
        return parse_arguments([*options, *shlex.split(str(settings))])

    def written(self):
        """Measure, write the manifests, and return this."""
        main(self.measure().arguments())
        return self

    def objects(self, name):
        """Return the objects of a YAML file."""
        return list(yaml.load_all(self.path(f"deploy/{name}").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader))

    def one(self, name, kind, target=None):
        """Return the one object of a kind, of a target where there are several."""
        found = [each for each in self.objects(name) if each["kind"] == kind]
        if target:
            found = [each for each in found if each["metadata"]["name"].startswith(f"{self.model}-{target}")]
        assert len(found) == 1, [each["metadata"]["name"] for each in found]
        return found[0]

    def text(self, name):
        """Return a file's text."""
        return self.path(f"deploy/{name}").read_text(encoding="utf-8")

    def record(self):
        """Return manifests.json."""
        return read_json(self.path("deploy/manifests.json"))

    def _rows(self, target, settings):
        of_gpu = {"gpu_memory_mb": 2100.0} if settings["runtime"] == "tensorrt" else {}
        row = {
            "model": f"{self.model}_{settings['precisions'][0]}",
            "precision": settings["precisions"][0],
            "variant": f"{self.model}_config_1",
            "instances": 2,
            "max_batch_size": 16,
            "concurrency": 4,
            "throughput_per_s": 2000.0,
            "p99_ms": 9.0,
            "queue_ms": 1.0,
            "compute_ms": 4.0,
            "memory_mb": 1000.0,
            "verdict": "steady",
            **of_gpu,
        }
        busier = {**row, "concurrency": 16, "memory_mb": 1200.0, **({"gpu_memory_mb": 2600.0} if of_gpu else {})}
        other = {**busier, "variant": f"{self.model}_config_default", "instances": 9, "memory_mb": 9e5}
        return [each | self.rows.get(target, {}) for each in (row, busier, other)]

    def _selection(self, target, rows, load_test_sha256):
        measured = self.capacities.get(target)
        rates = {"sent_per_s": measured, "answered_per_s": measured}
        point = {**rates, "requests": 500, "p99_ms": 12.0, "queue_ms": 4.0, "verdict": "steady"}
        capacity = {"capacity_per_s": measured, "holds_at": point, "breaks_at": None, "verdict": "steady"}
        return {
            "capacity": capacity if measured else None,
            "origin": self.origin,
            "precision": rows[0]["precision"],
            "max_batch_size": rows[0]["max_batch_size"],
            "instances": rows[0]["instances"],
            "measured": rows[0],
            "limits": {"p99_ms": 50.0, "memory_mb": None},
            "chosen_from": {"measurements": len(rows), "load_test_sha256": load_test_sha256},
        }

    def _index(self, settings, selection_sha256):
        tensorrt = settings["runtime"] == "tensorrt"
        builder = {"builder": {"compatibility": settings.get("tensorrt", {}).get("compatibility", "none")}}
        return {
            "origin": self.origin,
            "name": f"{self.model}_trt",
            "chain": {"weights_sha256": "cd" * 32, "selection_sha256": selection_sha256},
            "engine_key": {
                "runtime": settings["runtime"],
                "runtime_version": settings["tensorrt"]["version"] if tensorrt else "2026.4.1",
                "precision": settings["precisions"][0],
                "hardware": settings["hardware"],
                **(builder if tensorrt else {}),
            },
            "version_lock": {"verified": tensorrt, "source": "the table"},
        }


def pod(found, target="h100"):
    return found.one("kubernetes.yaml", "Deployment", target)["spec"]["template"]["spec"]


def container(found, target="h100"):
    [only] = pod(found, target)["containers"]
    return only


def kinds(found, name="kubernetes.yaml"):
    return sorted(each["kind"] for each in found.objects(name))
