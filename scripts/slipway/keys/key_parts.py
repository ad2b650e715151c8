"""The parts of job keys, each {option: value}: contents of files, hashes of code, settings that several jobs share.

A job whose key differs from the key of its last run is stale.
"""

import json
from functools import cache
from pathlib import Path

from slipway.classification.image_files import digest_of_images
from slipway.contract.sample_sources import digest_of, is_function
from slipway.core import hardware, packages
from slipway.keys.code_hash import CodeHashes
from slipway.keys.file_hash_cache import FileHashCache
from slipway.keys.job_key import CODE, JobKey
from slipway.keys.resolved_config import ResolvedConfig
from slipway.models import programs, sources
from slipway.models.sources import source_name, source_of
from slipway.onnx.data_files import data_names


class KeyParts:
    """The parts of keys that several jobs share: {option: value} of settings, and {file: SHA-256} of code as "code".

    The user's own files enter a key by their content. So a moved or touched file makes nothing stale. A file that was
    replaced makes its jobs stale, even if the new file is older. The program of a job enters by its code.
    """

    def __init__(self, resolved: ResolvedConfig, file_hashes: FileHashCache) -> None:
        self.resolved = resolved
        self.file_hashes = file_hashes
        self.code_hashes = CodeHashes(file_hashes)
        # The SHA-256 of at most `limit` photographs, spread evenly over a folder, which is read once for all engines.
        self._images = cache(lambda folder, limit: digest_of_images(folder, limit, file_hashes) if folder else None)

    def input(self, model: str) -> dict:
        """Return the preprocessing and the element type of a model of photographs.

        The result is {"resize", "crop", "mean", "std", "interpolation", "input": "float32" or "uint8"}. A value of the
        preprocessing is None if only a job can find it.
        """
        return {**self.resolved.preprocess(model), "input": self.resolved.config["models"][model]["input"]}

    def unplanned_preprocessing(self, model: str) -> dict:
        """Return the settings that determine the preprocessing, if planning does not know it, and a job must find it.

        They are {"architecture", "arguments": JSON text, "code": {file: SHA-256}}. If planning knows the preprocessing,
        return {}: then its values are in the key themselves.
        """
        settings = self.resolved.config["models"][model]
        if settings["architecture"] is None or source_of(settings["architecture"]).is_planned:
            return {}
        arguments = json.dumps(settings["arguments"], sort_keys=True)
        return {"architecture": settings["architecture"], "arguments": arguments, **self.network(model)}

    def interface(self, model: str) -> dict[str, str]:
        """Return {"inputs": JSON text} of the settings that determine dtypes and shapes of a model's tensors.

        Meanings of outputs and labels are left out. If config.yaml does not state every dtype and shape, the samples
        determine the missing ones. Then the text also has the hash of the samples.
        """
        settings = self.resolved.config["models"][model]
        if source := self.resolved.samples(model):
            stated = {name: settings[name] for name in ("inputs", "axes")}
            stated["outputs"] = list(settings["outputs"] or [])
            named = (settings["inputs"] or {}).values()
            if not named or not all(entry["dtype"] and entry["shape"] for entry in named):
                stated |= {**self.samples(source), "targets": sorted(self.resolved.metric_targets(model))}
        else:
            of_graph = ("crop", "input", "mean", "std") if settings["input"] == "uint8" else ("crop", "input")
            stated = {name: self.input(model)[name] for name in of_graph}
        return {"inputs": json.dumps(stated, sort_keys=True)}

    def evaluation(self, model: str) -> JobKey:
        """Return {option: value} of a model's evaluation data: their hash, `max_samples` and `min_top1`.

        If the user has a metric, its function, limits and code are included.
        """
        accuracy, metric = self.resolved.accuracy(model), self.resolved.config["models"][model]["metric"]
        if source := self.resolved.samples(model):
            data = {**self.samples(source), "targets": self.resolved.metric_targets(model) or None}
        else:
            data = {"labelled_sha256": self._images(accuracy["labelled"], accuracy["max_samples"])}
        data |= {name: accuracy[name] for name in ("max_samples", "min_top1")}
        if metric is None:
            return JobKey(data)
        code = self.code_hashes.of_architecture(metric["function"])
        limits = {
            name: {end: value for end, value in ends.items() if value is not None}
            for name, ends in metric["limits"].items()
        }
        return JobKey(data, metric=metric["function"], metric_limits=json.dumps(limits), code=code)

    def calibration(self, model: str) -> dict:
        """Return {option: value} of a model's calibration data: their hash, and the settings that prepare them."""
        calibration = self.resolved.calibration(model)
        if source := calibration["samples"]:
            return {**self.samples(source), "batched": self.resolved.batched(model)}
        images = self._images(calibration["images"], calibration["max_samples"])
        code = {CODE: self.unplanned_preprocessing(model).get(CODE, {})}
        return {**self.input(model), **code, "images_sha256": images}

    def samples(self, source: str) -> dict:
        """Return the part of a key for `source`, the source of samples in config.yaml.

        The part is {"function": its name, "code": {file: SHA-256}} for a function "package.module:name", and
        {"files_sha256": hash of the files} for a path.
        """
        if is_function(source):
            return {"function": source, CODE: self.code_hashes.of_architecture(source)}
        return {"files_sha256": digest_of(source, self.file_hashes)}

    def choice(self) -> dict:
        """Return {setting: value} of the load test's limits and goal.

        The load test measures without them. Later jobs choose among its measurements by them.
        """
        limits = ("p99_limit_ms", "memory_limit_mb", "min_throughput_per_s", "max_accuracy_loss")
        return {name: self.resolved.config["load_test"][name] for name in ("goal", *limits)}

    def builder(self, target: str, precision: str) -> dict[str, str]:
        """Return {"cuda": version, "builder": JSON text of the build settings} of a TensorRT engine in `precision`."""
        runtime, settings = self.resolved.runtime(target), self.resolved.tensorrt(target)
        names = ("workspace_mb", "optimization_level", "tf32", "tactic_sources", "compatibility")
        builder = {name: settings[name] for name in names} | {"profiles": self.resolved.profiles(target, precision)}
        if runtime == "tensorrt":
            builder["refit"] = settings["refit"]
        else:
            builder["compute_capability"] = hardware.compute_capability_of(self.resolved.hardware(target))
        cuda = settings["cuda"] or packages.cuda_version(runtime, settings["python"])
        return {"cuda": cuda, "builder": json.dumps(builder, sort_keys=True)}

    def public_key(self) -> dict[str, str | None]:
        """Return {"public_key_sha256": SHA-256 of the public key for signatures, or None if none is set}."""
        return {"public_key_sha256": self.content(self.resolved.config["deploy"]["signing"]["public_key"])}

    def weights_file(self, model: str) -> dict[str, str]:
        """Return {option: hash} of a model's weights file, local or in storage; {} if config.yaml names no file.

        For a file in storage, the options are its address and its fingerprint, by which the storage tells that the
        content has changed. Planning has no SHA-256 of the file, since it downloads nothing.
        """
        if address := self.resolved.address(model):
            return {"address": address, "fingerprint": self.resolved.planned_file(address).fingerprint}
        checkpoint = self.resolved.checkpoint(model)
        if checkpoint is None:
            return {}
        part = {"checkpoint_sha256": self.file_hashes.sha256(checkpoint)}
        # The weights of an ONNX file may lie in files beside it.
        if self.resolved.is_onnx_file(model) and (names := data_names(checkpoint)):
            folder = Path(checkpoint).parent
            part["data_digest"] = self.file_hashes.of_many([folder / name for name in names], folder)
        return part

    def content(self, path: str | None) -> str | None:
        """Return the SHA-256 of a file; None without a path."""
        return self.file_hashes.sha256(path) if path else None

    def program(self, name: str, *runtimes: str) -> dict:
        """Return {"code": {file: SHA-256}} of scripts/<name>.py and of `runtimes`, such as "openvino".

        Programs import a runtime by its name, so it does not count as an import of the program.
        """
        return {CODE: self.code_hashes.of_program(name, *runtimes)}

    def program_with_network(self, name: str, model: str) -> JobKey:
        """Return {"code": {file: SHA-256}} of a program that runs a model in PyTorch, and of the network's module."""
        return JobKey(self.program(name), self.network(model))

    def network(self, model: str) -> dict:
        """Return {"code": {file: SHA-256}} of the code that makes a model's network: Slipway's module and the user's.

        Slipway's module imports the network, for example from torchvision. The user's code is the package in
        `architecture`.
        """
        if kind := self.resolved.program_kind(model):
            return {CODE: self.code_hashes.of_module(f"{programs.__name__}.{kind}")}
        architecture = self.resolved.config["models"][model]["architecture"]
        of_source = self.code_hashes.of_module(f"{sources.__name__}.{source_name(architecture)}")
        return {CODE: of_source | self.code_hashes.of_architecture(architecture)}

    def program_with_runtime(self, name: str, target: str) -> JobKey:
        """Return {"code": {file: SHA-256}} of a program that builds or runs a target's engines, and of the runtime."""
        # Programs start the worker by its path, so they do not import it.
        worker = self.program("tensorrt_worker") if self.resolved.runs_tensorrt(target) else {}
        return JobKey(self.program(name, self.resolved.runtime(target)), worker)

    def server_program(self, name: str, target: str) -> JobKey:
        """Return {"code": {file: SHA-256}} of a program that writes a repository or starts Triton for a target.

        The code of the runtime, and model.py for Triton's Python backend are included.
        """
        return JobKey(self.program_with_runtime(name, target), code=self.code_hashes.of_adapter())

    def program_with_traits(self, name: str, targets: list[str]) -> JobKey:
        """Return {"code": {file: SHA-256}} of a program, and of the traits.json of these targets' runtimes.

        A traits.json has the facts about a runtime that planning needs.
        """
        return JobKey(self.program(name), code=self.code_hashes.of_traits(map(self.resolved.runtime, targets)))
