"""The parts that keys are made of: the contents of files, the code of programs, settings that several jobs share."""

import json

from slipway.core import hardware, packages
from slipway.keys.code_hash import CodeHashes
from slipway.keys.file_hash_cache import FileHashCache
from slipway.keys.resolved_config import ResolvedConfig
from slipway.photographs.image_files import digest_of_images


class KeyParts:
    """The parts of keys that several jobs share.

    The user's own files enter by their content, so one that moved or was touched makes nothing stale, and one that was
    replaced by an older file does. The code of a job's program enters by what it does.
    """

    def __init__(self, resolved: ResolvedConfig, file_hashes: FileHashCache) -> None:
        self.resolved = resolved
        self.file_hashes = file_hashes
        self._code_hashes = CodeHashes(file_hashes)
        self._digests: dict[tuple[str, int], str] = {}

    def input(self, model: str) -> dict:
        """Return what makes a photograph the model's input."""
        return {**self.resolved.config["models"][model]["preprocess"], "input": self.resolved.input(model)}

    def limits(self) -> dict:
        """Return the limits that a configuration must hold."""
        return {name: self.resolved.config["load_test"][name] for name in ("p99_limit_ms", "memory_limit_mb")}

    def builder(self, target: str, precision: str) -> dict[str, str]:
        """Return what a TensorRT engine is keyed on beside all others."""
        runtime, chosen = self.resolved.runtime(target), self.resolved.tensorrt(target)
        names = ("workspace_mb", "optimization_level", "tf32", "tactic_sources", "compatibility")
        builder = {name: chosen[name] for name in names} | {"profiles": self.resolved.profiles(target, precision)}
        if runtime == "tensorrt":
            builder["refit"] = chosen["refit"]
        else:
            builder["compute_capability"] = hardware.compute_capability_of(self.resolved.hardware(target))
        cuda = chosen["cuda"] or packages.cuda_version(runtime, chosen["python"])
        return {"cuda": cuda, "builder": json.dumps(builder, sort_keys=True)}

    def public_key(self) -> str | None:
        """Return the SHA-256 of the key that signatures must be of."""
        return self.content(self.resolved.config["deploy"]["signing"]["public_key"])

    def content(self, path: str | None) -> str | None:
        """Return the SHA-256 of a file; None without one."""
        return self.file_hashes.sha256(path) if path else None

    def images(self, folder: str | None, limit: int) -> str | None:
        """Return the SHA-256 of a folder's photographs, which every engine's job asks for, and is looked into once."""
        if folder is None:
            return None
        if (folder, limit) not in self._digests:
            self._digests[folder, limit] = digest_of_images(folder, limit, self.file_hashes)
        return self._digests[folder, limit]

    def code(self, program: str, *modules: str) -> dict[str, str]:
        """Return the code of a program, as SHA-256 by file, with that of runtimes' modules."""
        return self._code_hashes.of_program(program, *modules)

    def code_of_model(self, program: str, model: str) -> dict[str, str]:
        """Return the code of a program that runs the model in PyTorch."""
        return self.code(program) | self.code_of_architecture(model)

    def adapter_code(self) -> dict[str, str]:
        """Return the code of the Python backend's model.py."""
        return self._code_hashes.of_adapter()

    def code_of_architecture(self, model: str) -> dict[str, str]:
        """Return the code of the user's module that defines a model's network."""
        return self._code_hashes.of_architecture(self.resolved.config["models"][model]["architecture"])

    def code_with_runtime(self, program: str, target: str) -> dict[str, str]:
        """Return the code of a program that builds or runs a target's engines."""
        worker = self._code_hashes.of_worker() if self.resolved.runs_tensorrt(target) else {}
        return self.code(program, self.resolved.traits(target).module) | worker
