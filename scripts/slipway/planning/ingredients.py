"""What the keys of a configuration's jobs are made of: the contents of files, the code of programs, shared settings."""

import json

from slipway import hardware, toolchain
from slipway.photographs.image_files import digest_of_images
from slipway.planning.decisions import Decisions
from slipway.planning.fingerprints import Fingerprints
from slipway.planning.sources import Sources


class Ingredients(Decisions):
    """What several jobs are keyed on.

    The user's own files enter by their content, so one that moved or was touched makes nothing stale, and one that was
    replaced by an older file does. The code of a job's program enters by what it does.
    """

    def __init__(self, config: dict, fingerprints: Fingerprints | None = None) -> None:
        super().__init__(config)
        self._fingerprints = fingerprints or Fingerprints()
        self._sources = Sources(self._fingerprints)
        self._digests: dict[tuple[str, int], str] = {}

    def _input(self, model: str) -> dict:
        """Return what makes a photograph the model's input."""
        return {**self.config["models"][model]["preprocess"], "input": self.input(model)}

    def _limits(self) -> dict:
        """Return the limits that a configuration must hold."""
        return {name: self.config["load_test"][name] for name in ("p99_limit_ms", "memory_limit_mb")}

    def _builder(self, target: str, precision: str) -> dict[str, str]:
        """Return what a TensorRT engine is keyed on beside all others."""
        runtime, chosen = self.runtime(target), self.tensorrt(target)
        names = ("workspace_mb", "optimization_level", "tf32", "tactic_sources", "compatibility")
        builder = {name: chosen[name] for name in names} | {"profiles": self.profiles(target, precision)}
        if runtime == "tensorrt":
            builder["refit"] = chosen["refit"]
        else:
            builder["compute_capability"] = hardware.compute_capability_of(self.hardware(target))
        cuda = chosen["cuda"] or toolchain.cuda_version(runtime, chosen["python"])
        return {"cuda": cuda, "builder": json.dumps(builder, sort_keys=True)}

    def _public_key(self) -> str | None:
        """Return the SHA-256 of the key that signatures must be of."""
        return self._content(self.config["deploy"]["signing"]["public_key"])

    def _content(self, path: str | None) -> str | None:
        return self._fingerprints.sha256(path) if path else None

    def _images(self, folder: str | None, limit: int) -> str | None:
        """Return the SHA-256 of a folder's photographs, which every engine's job asks for, and is looked into once."""
        if folder is None:
            return None
        if (folder, limit) not in self._digests:
            self._digests[folder, limit] = digest_of_images(folder, limit, self._fingerprints)
        return self._digests[folder, limit]

    def _code(self, program: str, *modules: str) -> dict[str, str]:
        return self._sources.of_program(program, *modules)

    def _code_of_model(self, program: str, model: str) -> dict[str, str]:
        """Return the code of a program that runs the model in PyTorch."""
        return self._code(program) | self._code_of_architecture(model)

    def _code_of_architecture(self, model: str) -> dict[str, str]:
        return self._sources.of_architecture(self.config["models"][model]["architecture"])

    def _code_with_runtime(self, program: str, target: str) -> dict[str, str]:
        """Return the code of a program that builds or runs a target's engines."""
        worker = self._sources.of_worker() if self.runs_tensorrt(target) else {}
        return self._code(program, self.traits(target).module) | worker
