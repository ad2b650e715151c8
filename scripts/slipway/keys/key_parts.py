"""The parts of job keys: contents of files, code of programs, settings that several jobs share."""

import json
from functools import cache

from slipway.classification.image_files import digest_of_images
from slipway.contract.sample_sources import digest_of, is_function
from slipway.core import hardware, packages
from slipway.keys.code_hash import CodeHashes
from slipway.keys.file_hash_cache import FileHashCache
from slipway.keys.resolved_config import ResolvedConfig


def _states_all(inputs: dict | None) -> bool:
    """Return whether config.yaml states the dtype and shape of the inputs that it names. Every input may be named."""
    return bool(inputs) and all(entry["dtype"] and entry["shape"] for entry in inputs.values())


class KeyParts:
    """The parts of keys that several jobs share.

    The user's own files enter a key by their content. So a moved or touched file makes nothing stale, and a file that
    was replaced by an older one does. The program of a job enters by its code.
    """

    def __init__(self, resolved: ResolvedConfig, file_hashes: FileHashCache) -> None:
        self.resolved = resolved
        self.file_hashes = file_hashes
        self.code_hashes = CodeHashes(file_hashes)
        # The code of a program, and of runtimes that it imports by name.
        self.code = self.code_hashes.of_program
        # Each folder is read once for all engines.
        self._digest_of_images = cache(lambda folder, limit: digest_of_images(folder, limit, file_hashes))

    def input(self, model: str) -> dict:
        """Return the settings that turn a photograph into the model's input: preprocessing and element type."""
        settings = self.resolved.config["models"][model]
        return {**settings["preprocess"], "input": settings["input"]}

    def interface(self, model: str) -> dict[str, str]:
        """Return the settings that determine a model's tensors: another meaning or label makes no graph stale.

        A dtype or shape that config.yaml does not state is found from the samples. So they are part of it then.
        """
        settings = self.resolved.config["models"][model]
        if source := self.resolved.samples(model):
            stated = {name: settings[name] for name in ("inputs", "axes")}
            stated["outputs"] = list(settings["outputs"] or [])
            if not _states_all(settings["inputs"]):
                stated |= self.samples(source) | self.code_of_samples(source)
                stated["targets"] = sorted(self.resolved.metric_targets(model))
        else:
            of_graph = ("crop", "input", "mean", "std") if settings["input"] == "uint8" else ("crop", "input")
            stated = {name: self.input(model)[name] for name in of_graph}
        return {"inputs": json.dumps(stated, sort_keys=True)}

    def evaluation(self, model: str) -> dict:
        """Return the settings of the evaluation data, and of the user's metric where there is one."""
        accuracy, metric = self.resolved.accuracy(model), self.resolved.metric(model)
        if source := self.resolved.samples(model):
            data = {**self.samples(source), "targets": self.resolved.metric_targets(model) or None}
        else:
            data = {"labelled_sha256": self.images(accuracy["labelled"], accuracy["max_samples"])}
        return {
            **data,
            **{name: accuracy[name] for name in ("max_samples", "min_top1")},
            **({"metric": metric["function"], "metric_limits": json.dumps(metric["limits"])} if metric else {}),
        }

    def calibration(self, model: str) -> tuple[dict, dict[str, str]]:
        """Return the settings of a model's calibration data, and the code of the user's module that gives them."""
        calibration = self.resolved.calibration(model)
        if source := calibration["samples"]:
            return {**self.samples(source), "batched": self.resolved.batched(model)}, self.code_of_samples(source)
        images = self.images(calibration["images"], calibration["max_samples"])
        return {**self.input(model), "images_sha256": images}, {}

    def samples(self, source: str) -> dict:
        """Return the settings of a source of samples: the name of a function, or the content of files."""
        return {"function": source} if is_function(source) else {"files_sha256": digest_of(source, self.file_hashes)}

    def code_of_samples(self, source: str) -> dict[str, str]:
        """Return the code of the user's module that a source of samples names."""
        return self.code_hashes.of_architecture(source) if is_function(source) else {}

    def limits(self) -> dict:
        """Return the limits that a configuration of the load test must satisfy."""
        return {name: self.resolved.config["load_test"][name] for name in ("p99_limit_ms", "memory_limit_mb")}

    def builder(self, target: str, precision: str) -> dict[str, str]:
        """Return the part of the key that only TensorRT engines have: CUDA version and builder settings."""
        runtime, settings = self.resolved.runtime(target), self.resolved.tensorrt(target)
        names = ("workspace_mb", "optimization_level", "tf32", "tactic_sources", "compatibility")
        builder = {name: settings[name] for name in names} | {"profiles": self.resolved.profiles(target, precision)}
        if runtime == "tensorrt":
            builder["refit"] = settings["refit"]
        else:
            builder["compute_capability"] = hardware.compute_capability_of(self.resolved.hardware(target))
        cuda = settings["cuda"] or packages.cuda_version(runtime, settings["python"])
        return {"cuda": cuda, "builder": json.dumps(builder, sort_keys=True)}

    def public_key(self) -> str | None:
        """Return the SHA-256 of the public key for signatures; None if none is set."""
        return self.content(self.resolved.config["deploy"]["signing"]["public_key"])

    def content(self, path: str | None) -> str | None:
        """Return the SHA-256 of a file; None without a path."""
        return self.file_hashes.sha256(path) if path else None

    def images(self, folder: str | None, limit: int) -> str | None:
        """Return one SHA-256 of at most `limit` photographs, spread evenly over a folder; None without a folder."""
        return None if folder is None else self._digest_of_images(folder, limit)

    def code_of_model(self, program: str, model: str) -> dict[str, str]:
        """Return the code of a program that runs the model in PyTorch, with the code of the model's architecture."""
        return self.code(program) | self.code_of_architecture(model)

    def code_of_architecture(self, model: str) -> dict[str, str]:
        """Return {file: SHA-256} of the user's modules that define a model's network."""
        return self.code_hashes.of_architecture(self.resolved.config["models"][model]["architecture"])

    def code_of_evaluation(self, model: str) -> dict[str, str]:
        """Return {file: SHA-256} of the user's modules that define a model's evaluation data and metric."""
        metric, source = self.resolved.metric(model), self.resolved.samples(model)
        of_metric = self.code_hashes.of_architecture(metric["function"]) if metric else {}
        return of_metric | (self.code_of_samples(source) if source else {})

    def code_with_runtime(self, program: str, target: str) -> dict[str, str]:
        """Return {file: SHA-256} of a program's code and of the target's runtime, which builds or runs its engines."""
        # Programs start the worker by its path, so they do not import it.
        worker = self.code("tensorrt_worker") if self.resolved.runs_tensorrt(target) else {}
        return self.code(program, self.resolved.runtime(target)) | worker

    def code_with_traits(self, program: str, targets: list[str]) -> dict[str, str]:
        """Return {file: SHA-256} of a program's code and of the traits of these targets' runtimes."""
        return self.code(program) | self.code_hashes.of_traits(map(self.resolved.runtime, targets))
