"""What a training gives, small enough to deploy in a moment, and the options that deploy it."""

import numpy as np

from helpers.artifacts.runs import selection_of
from helpers.models.served_pictures import write_reference
from helpers.models.tiny_engine import tiny_engine
from helpers.patience import PATIENCE_S
from slipway.core.artifacts import tree_digest, write_json
from slipway.core.hardware import cpu_identity
from slipway.core.package_versions import package_version
from slipway.triton.repository.model_folder import served_model, write_model

LIMITS = {"min_cosine": 0.9999, "max_relative_error": 1e-4, "min_top1_agreement": 1.0, "max_top1_drop": 0.1}
RESULTS = "results/tiny"
RECEIPT = f"{RESULTS}/deploy/receipt.json"
WEIGHTS = "a" * 64


class Training:
    """What a training gives: an engine of its own weights in a model repository, its index, its reference outputs."""

    def __init__(self, folder, seed, instances=1, p99_limit_ms=60_000, name="tiny"):
        folder.mkdir()
        tiny = tiny_engine(folder, "openvino", "uint8", seed=seed)
        key = tiny.engine.record["key"]
        key |= {"runtime_version": package_version("openvino"), "hardware": cpu_identity()}
        self.results, self.name, self.seed = folder, name, seed
        self.folder, self.index = folder / "cpu" / "repository" / name, folder / "cpu" / "repository.json"
        self.reference, self.signature = folder / "reference_outputs.npz", self.index.with_suffix(".sig")
        served = served_model(name, tiny.engine, tiny.contract, 4, instances)
        write_model(self.folder, served, tiny.engine, tiny.labels)
        self.input = tiny.batch
        self.logits = tiny.engine.load().infer({"input": tiny.batch})["logits"]
        write_reference(self.reference, [self.input], [self.logits])
        self.write_index(key, p99_limit_ms)

    def write_index(self, key, p99_limit_ms):
        index = {
            "origin": "checkpoint",
            "name": self.name,
            "chain": {"weights_sha256": WEIGHTS, "engine_files": {}, "selection_sha256": selection_of(self.seed)},
            "engine_key": key,
            "accuracy_limits": LIMITS,
            "proven_on_labels": False,
            "promise": {"in_flight": 2, "p99_ms": 10, "p99_limit_ms": p99_limit_ms},
            "files": tree_digest(self.folder),
        }
        write_json(self.index, index)

    def put_into(self, results):
        """Make the results of a workplace this training's."""
        results.mkdir(parents=True, exist_ok=True)
        for name in ("cpu", "reference_outputs.npz"):
            link = results / name
            if not link.is_symlink() or link.readlink() != self.results / name:
                link.unlink(missing_ok=True)
                link.symlink_to(self.results / name)

    def gave(self, logits):
        """Say whether an answer is this training's."""
        return np.allclose(logits, self.logits, rtol=1e-3, atol=1e-3)


def options(place, training, *more):
    """Put a training into a workplace; return the options of deploy.py that serve it at the workplace's `served_at`."""
    results = f"results/{training.name}"
    training.put_into(place.path(results))
    return [
        *("--results", results, "--target", "cpu", "--grpc-port", place.served_at.grpc),
        *("--metrics-port", place.served_at.metrics, "--ready-timeout-s", PATIENCE_S, *more),
    ]
