"""A model as the workflow leaves it before it is deployed: engine, repository, reference outputs, manifests."""

import shutil
from contextlib import contextmanager

from helpers.artifacts.measured import Measured, cpu_target
from helpers.models.served_pictures import write_reference
from helpers.models.tiny_engine import tiny_engine
from helpers.patience import PATIENCE_S
from slipway.core.artifacts import read_json, sha256, tree_digest, write_json
from slipway.triton.client.ports import Ports
from slipway.triton.repository.model_folder import served_model, write_model
from slipway.triton.server.installation import find_installation
from slipway.triton.server.server_options import ServerChoice
from slipway.triton.server.tritonserver import Server, stop_process
from write_manifests import main as write_manifests

LIMITS = {"min_cosine": 0.9999, "max_relative_error": 1e-4, "min_top1_agreement": 1.0, "max_top1_drop": 0.1}
NAME = "tiny_trt"


class Deployable:
    """A folder with results/tiny/, in which a model can be trained again."""

    def __init__(self, folder, targets=("cpu",), **deploy):
        self.folder = folder
        self.results = folder / "results" / "tiny"
        settings = {"fleet": list(targets), **deploy}
        declared = {target: cpu_target() for target in targets}
        self.measured = Measured(folder, targets=declared, deploy=settings, model="tiny")

    def train(self, seed, reference_seed=None, p99_limit_ms=60_000):
        """Write everything of a training; `reference_seed` takes the reference outputs of another one."""
        self.measured.measure()
        tiny = self._engine(seed)
        for target in self.measured.targets:
            self._write_repository(target, tiny, p99_limit_ms)
        right = tiny if reference_seed is None else self._engine(reference_seed)
        logits = right.engine.load().infer({"input": tiny.batch})["logits"]
        write_reference(self.results / "reference_outputs.npz", [tiny.batch], [logits])
        for name in ("prometheus-rules.yaml", "grafana.json"):
            (self.results / "deploy").mkdir(exist_ok=True)
            (self.results / "deploy" / name).write_text("{}\n", encoding="utf-8")
        write_manifests(self.measured.arguments())
        return self

    def change(self, **deploy):
        """Change `deploy` in the configuration, and write the manifests again."""
        self.measured.deploy |= deploy
        write_manifests(self.measured.arguments())

    def accept_repository(self, target="cpu"):
        """Make the index and the manifests those of a repository that a test has changed."""
        path = self.results / target / "repository.json"
        write_json(path, read_json(path) | {"files": tree_digest(self.repository(target) / NAME)})
        write_manifests(self.measured.arguments())

    def index(self, target="cpu"):
        """Return the SHA-256 of a target's index."""
        return sha256(self.results / target / "repository.json")

    def repository(self, target="cpu"):
        """Return the folder that a server is started with."""
        return self.results / target / "repository"

    def _engine(self, seed):
        folder = self.folder / f"build-{seed}"
        folder.mkdir(exist_ok=True)
        return tiny_engine(folder, "openvino", "uint8", seed=seed)

    def _write_repository(self, target, tiny, p99_limit_ms):
        folder = self.repository(target) / NAME
        shutil.rmtree(folder, ignore_errors=True)
        write_model(folder, served_model(NAME, tiny.engine, tiny.contract, 4, 1), tiny.engine, tiny.labels)
        path = self.results / target / "repository.json"
        more = {
            "accuracy_limits": LIMITS,
            "promise": {"in_flight": 2, "p99_ms": 10, "p99_limit_ms": p99_limit_ms},
            "proven_on_labels": False,
            "files": tree_digest(folder),
        }
        write_json(path, read_json(path) | more)


@contextmanager
def served(repository, workspace):
    """Yield a real server of a repository that is ready; at the end it is left the time to clear up."""
    installation = find_installation(workspace, ServerChoice("wheel"))
    server = Server(installation, [repository], Ports.free(), workspace / "server.log")
    process = server.start()
    try:
        server.wait_until_ready(PATIENCE_S)
        yield server
    finally:
        stop_process(process.pid, 5)
