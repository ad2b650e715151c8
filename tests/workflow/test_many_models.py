"""Three models on two targets: one is retrained, one added, one removed, one rolled back; nothing else is touched."""

import re
import sys
from typing import ClassVar

import psutil
import pytest
import torch
from helpers.artifacts.training import Training
from helpers.examples import block, configuration, samples_of
from helpers.traffic import Traffic
from helpers.workplace import REPOSITORY, Workplace, free_ports

from slipway.core.artifacts import read_json

# `make examples` runs them.
pytestmark = [pytest.mark.slow, pytest.mark.long]

SHORTEST = {
    "profile": {"steps": 1},
    "benchmark": {"batch_sizes": [1], "seconds": 0.1, "warmup_seconds": 0.05, "min_samples": 2},
    "load_test": {
        "concurrency": [1],
        "instances": [1],
        "max_batch_sizes": [2],
        "requests": 10,
        "p99_limit_ms": 10_000,
        "request_rates": [],
    },
}
MEASURED = ("report.html", "run.json", "profile/profile.json")
MEASURED_ON_TARGET = ("{model}.benchmark.json", "selection.json", "analysis/summary.pdf", "{model}.fp32.accuracy.json")
OPERATING = ("withdraw", "status", "rollback", "undeploy", "prune")


class Carried(Workplace):
    """A folder in which each model of docs/examples/many_models is carried from its checkpoint to the server."""

    # Jobs that carry one model, beside those that are about its samples, weights and graph.
    JOBS: ClassVar = {
        **dict.fromkeys(("benchmark", "load_test", "render_load_test", "measure_capacity", "check_accuracy"), 2),
        "choose_configuration": 2,
        **dict.fromkeys(("fetch_weights", "build_openvino", "build_onnxruntime", "deploy_release"), 1),
    }
    TENSORS = ("heights", "slope")

    def train(self, model):
        """Write a checkpoint of a model, another one than before."""
        path = self.path(f"checkpoints/{model}.pth")
        if not path.exists():
            (words,) = [line.split() for line in block("many_models").splitlines() if f".{model}.train" in line]
            self.run([sys.executable, *words[1:]], PYTHONPATH=".", OMP_NUM_THREADS="1").succeeded()
        else:
            weights = torch.load(path, weights_only=True)
            torch.save(
                {name: 1.01 * tensor if tensor.is_floating_point() else tensor for name, tensor in weights.items()},
                path,
            )

    def add(self, model, like):
        """Let the configuration have another model."""
        self.configure(f"models.{model}", dict(self.config["models"][like]))

    def make(self, *words):
        """Run Snakemake with the examples on its path."""
        return self.snakemake(*words, PYTHONPATH=".")

    @property
    def request(self):
        """Return an input of non_square."""
        return samples_of("non_square", self.folder)[0]["heights"]


class Trained(Workplace):
    """A folder that has the repositories of such models already, of tiny engines, and in which only deployments run."""

    JOBS: ClassVar = {"deploy_release": 1}
    TENSORS = ("input", "logits")

    def train(self, model):
        """Put another repository of a model into the folder."""
        number = len(list(self.path("..").glob("training-*")))
        self.training = Training(self.path(f"../training-{number}"), number, name=f"{model}_trt")
        self.training.put_into(self.path(f"results/{model}"))
        on_target = [f"{target}/{name.format(model=model)}" for target in ("cpu", "ort") for name in MEASURED_ON_TARGET]
        for name in (*(f"{model}/{name}" for name in (*MEASURED, *on_target)), "index.html"):
            path = self.path(f"results/{name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    def add(self, model, like):
        """Let the configuration have another model."""
        self.configure(f"models.{model}", dict(self.config["models"][like]))
        self.train(model)

    def make(self, *words):
        """Run the rules of deployments, as if there were no others."""
        models = [*self.config["models"], "audio", "slopes"]
        one = [f"{verb}_{model}" for verb in ("deploy", "rollback", "undeploy") for model in models]
        return self.snakemake(*words, "--allowed-rules", "deploy", "deploy_release", *OPERATING, *one, PYTHONPATH=".")

    @property
    def request(self):
        """Return an input of any model."""
        return self.training.input


@pytest.fixture(params=[Trained, Carried], ids=["trained", "carried"])
def place(request, tmp_path):
    """Return a folder in which three models are live."""
    folder = tmp_path / "place"
    folder.mkdir()
    (folder / "docs").symlink_to(REPOSITORY / "docs")
    found = request.param(folder, {**configuration("many_models"), **SHORTEST, "deploy": free_ports()})
    (folder / "checkpoints").mkdir()
    for model in found.config["models"]:
        found.train(model)
        found.path(f"checkpoints/{model}.pth").touch()
    found.make("deploy").succeeded()
    yield found
    found.make("undeploy")


def jobs(outcome):
    """Return {rule: number of jobs} of a run, without the target itself."""
    table = outcome.succeeded().said.partition("Job stats:")[2].partition("total")[0]
    found = {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}
    return {rule: count for rule, count in found.items() if not re.match("deploy$|deploy_(?!release)", rule)}


def require_one_was_carried(place, outcome):
    """Require the jobs of one model."""
    ran = jobs(outcome)
    assert {rule: ran.get(rule) for rule in place.JOBS} == place.JOBS


def state(place, *models):
    """Return every file of models, with its content and time, and the processes that serve them."""
    files = {
        name: (digest, place.path(name).stat().st_mtime_ns)
        for name, digest in place.artifacts().items()
        if name.split("/")[1] in models or any(f"/{model}_trt/" in name for model in models)
    }
    server = psutil.Process(read_json(place.path("results/.server/state.json"))["pid"])
    engines = {process.pid: " ".join(process.cmdline()) for process in server.children(recursive=True)}
    served = {pid for pid, words in engines.items() if any(f"/{model}_trt/" in words for model in models)}
    assert len(served) >= len(models)
    return files, served


def number(place, model):
    """Return the live version of a model; None if it is not live."""
    path = place.path(f"results/{model}/deploy/receipt.json")
    return read_json(path)["number"] if path.exists() else None


def test_one_is_retrained_one_added_one_removed_one_rolled_back(place):
    others = state(place, "non_square", "audio")
    place.train("grayscale")
    require_one_was_carried(place, place.make("deploy_grayscale"))
    assert number(place, "grayscale") == 2
    assert state(place, "non_square", "audio") == others

    three = state(place, "grayscale", "non_square", "audio")
    place.add("slopes", like="non_square")
    require_one_was_carried(place, place.make("deploy"))
    assert state(place, "grayscale", "non_square", "audio") == three

    rest = state(place, "grayscale", "non_square", "slopes")
    place.config["models"].pop("audio")
    place.write_config()
    outcome = place.make("deploy")
    index = {"write_index": 1} if isinstance(place, Carried) else {}
    assert jobs(outcome) == {"withdraw": 1, **index}
    assert "Undeploying audio: no longer in the configuration" in outcome.said
    assert number(place, "audio") is None
    assert state(place, "grayscale", "non_square", "slopes") == rest
    assert "Nothing to be done" in place.make("deploy").succeeded().said

    ort = place.config["targets"].pop("ort")
    place.write_config()
    reports = {"write_report": 3, "record_run": 3, **index} if isinstance(place, Carried) else {}
    assert jobs(place.make("-n", "deploy")) == reports, "a target was removed"
    place.configure("targets.ort", ort)
    assert "Nothing to be done" in place.make("-n", "deploy").succeeded().said, "and is there again"

    rest = state(place, "non_square", "slopes")
    with Traffic(place.ports, place.request, model="non_square_trt", tensors=place.TENSORS) as traffic:
        place.make("rollback_grayscale").succeeded()
    assert not traffic.lost
    assert all(traffic.answers)
    assert number(place, "grayscale") == 1
    assert state(place, "non_square", "slopes") == rest

    log = place.path("logs/audio/deploy_release.local.log")
    assert "nothing was removed" in place.make("prune").succeeded().said
    assert log.exists()
    place.make("prune", "--config", "prune=yes").succeeded()
    assert not log.exists()
    assert state(place, "non_square", "slopes") == rest

    said = place.make("rollback").succeeded().said
    assert "audio_trt: version 1, which had been undeployed, is live again" in said
    assert "audio is not in this configuration" in said
    assert (number(place, "audio"), number(place, "slopes"), number(place, "grayscale")) == (1, None, 1)
    assert "not in this configuration" in place.make("status").succeeded().said
