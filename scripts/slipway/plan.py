"""What a configuration asks for: which models, targets and precisions, and what each job is keyed on.

The Snakefile parses in a fraction of a second because nothing here imports PyTorch or a runtime: versions come from
package metadata, hardware from the operating system.
"""

import json
from functools import cache
from importlib import metadata
from pathlib import Path

from slipway import hardware
from slipway.errors import SlipwayError
from slipway.local_server import start_number
from slipway.runtimes import RUNTIMES, Traits
from slipway.settings import Settings

CHECKPOINT_SUFFIXES = (".pth", ".pt", ".safetensors")


class Plan:
    """The jobs of one completed configuration. Its methods named after artifacts return the Settings of their rule."""

    def __init__(self, config: dict) -> None:
        self.config = config
        self.models = list(config["models"])
        self.targets = list(config["targets"])
        self.deployed_target = config["deploy"]["target"] or self.targets[0]
        self._check_precisions()
        self._check_files()

    # What there is to make

    def runtime(self, target: str) -> str:
        """Return the runtime of a target, with `auto` decided."""
        declared = self.config["targets"][target]["runtime"]
        return "openvino" if declared == "auto" else declared

    def traits(self, target: str) -> Traits:
        """Return what is known of a target's runtime."""
        return RUNTIMES[self.runtime(target)]

    def targets_of(self, runtime: str) -> list[str]:
        """Return the targets that a runtime builds for."""
        return [target for target in self.targets if self.runtime(target) == runtime]

    def precisions(self, target: str) -> list[str]:
        """Return the precisions of a target's engines, with `auto` decided."""
        declared = self.config["targets"][target]["precisions"]
        if declared != "auto":
            return declared
        return [name for name in self.traits(target).precisions if name != "bf16" or _has_bf16(self.hardware(target))]

    def all_precisions(self) -> list[str]:
        """Return every precision of any target, in the order of first use."""
        return list(dict.fromkeys(name for target in self.targets for name in self.precisions(target)))

    def hardware(self, target: str) -> str:
        """Return the identity of a target's hardware, with `auto` detected."""
        declared = self.config["targets"][target]["hardware"]
        return hardware.cpu_identity() if declared == "auto" else declared

    def checkpoint(self, model: str) -> str | None:
        """Return the path of a model's local checkpoint, or None when torchvision provides the weights."""
        weights = self.config["models"][model]["weights"]
        return weights if weights.endswith(CHECKPOINT_SUFFIXES) else None

    def notices(self) -> list[str]:
        """Return what was decided for the user, in sentences."""
        here = hardware.tensorrt_with_gpu()
        reason = "TensorRT and a GPU are here, but not used yet" if here else "no TensorRT with a GPU is here"
        return [
            f"target {target}: runtime auto is {self.runtime(target)} ({reason})"
            for target in self.targets
            if self.config["targets"][target]["runtime"] == "auto"
        ]

    # What each artifact is keyed on, beside its input files

    def weights(self, model: str) -> Settings:
        """Return what the canonical checkpoint is keyed on."""
        chosen = self.config["models"][model]
        local = self.checkpoint(model)
        return Settings(
            architecture=chosen["architecture"],
            arguments=json.dumps(chosen["arguments"], sort_keys=True),
            **({} if local else {"weights": chosen["weights"]}),
        )

    def preprocessing(self, model: str) -> Settings:
        """Return what turns a photograph into the model's input."""
        return Settings(self.config["models"][model]["preprocess"])

    def profile(self, model: str) -> Settings:
        """Return what the profile is keyed on."""
        return Settings(self.config["profile"], crop=self.crop(model), torch_version=_version("torch"))

    def onnx(self, model: str) -> Settings:
        """Return what the ONNX file is keyed on."""
        return Settings(
            opset=min(self.traits(target).newest_opset for target in self.targets),
            crop=self.crop(model),
            torch_version=_version("torch"),
        )

    def engine(self, target: str, precision: str) -> Settings:
        """Return what an engine is keyed on."""
        return Settings(
            runtime=self.runtime(target),
            runtime_version=_version(self.traits(target).package),
            precision=precision,
            hardware=self.hardware(target),
        )

    def benchmark(self, model: str, target: str) -> Settings:
        """Return what a benchmark is keyed on."""
        return Settings(
            self.config["benchmark"],
            crop=self.crop(model),
            hardware=self.hardware(target),
            torch_version=_version("torch"),
        )

    def accuracy(self, model: str, precision: str) -> Settings:
        """Return what the comparison of an engine's answers with PyTorch's is keyed on."""
        checked = self.config["accuracy"]
        return Settings(
            {**self.preprocessing(model), **checked["limits"][precision]},
            labelled=checked["labelled"],
            max_images=checked["max_images"],
        )

    def load_test(self, model: str, target: str) -> Settings:
        """Return what the load test is keyed on; the limits are not part of it, they only choose among its results."""
        tested = self.config["load_test"]
        swept = {
            name: tested[name]
            for name in ("concurrency", "instances", "max_batch_sizes", "requests", "stability_percent")
        }
        return Settings(
            swept,
            crop=self.crop(model),
            hardware=self.hardware(target),
            triton=_version("nvidia-pytriton"),
            perf=_version("tritonclient"),
        )

    def selection(self) -> Settings:
        """Return the limits that a configuration must hold."""
        tested = self.config["load_test"]
        return Settings(p99_limit_ms=tested["p99_limit_ms"], memory_limit_mb=tested["memory_limit_mb"])

    def repository(self, model: str) -> Settings:
        """Return what the model repository is keyed on."""
        return Settings(name=f"{model}_trt", crop=self.crop(model))

    def local_server(self) -> Settings:
        """Return where the local server listens, and which start of it a deployment made now is about."""
        chosen = self.config["deploy"]
        listening = {name: chosen[name] for name in ("host", "http_port", "grpc_port", "metrics_port")}
        return Settings(listening, start=start_number())

    def crop(self, model: str) -> int:
        """Return the height and width of a model's input in pixels."""
        return self.config["models"][model]["preprocess"]["crop"]

    # Checks that need more than the schema

    def _check_files(self) -> None:
        named = {"image": self.config["image"], "accuracy.labelled": self.config["accuracy"]["labelled"]}
        for model, chosen in self.config["models"].items():
            named |= {f"models.{model}.weights": self.checkpoint(model), f"models.{model}.labels": chosen["labels"]}
        for key, path in named.items():
            if path is not None and not Path(path).exists():
                last = key.rsplit(".", maxsplit=1)[-1]
                raise SlipwayError(
                    f"config: `{key}` is {path!r}, which does not exist; correct `{last}` in config.yaml"
                )

    def _check_precisions(self) -> None:
        for target in self.targets:
            runtime = self.runtime(target)
            for precision in self.precisions(target):
                if precision not in self.traits(target).precisions:
                    raise SlipwayError(
                        f"config: `targets.{target}.precisions` has {precision}, but {runtime} builds only "
                        f"{', '.join(self.traits(target).precisions)}"
                    )
                if precision == "bf16" and not _has_bf16(self.hardware(target)):
                    raise SlipwayError(
                        f"config: `targets.{target}.precisions` has bf16, but the CPU {self.hardware(target)} has no "
                        "bfloat16 instructions; take fp32, or auto for what there is"
                    )


@cache
def _version(package: str) -> str:
    """Return the installed version of a package, which may be absent where its jobs do not run."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"


def _has_bf16(identity: str) -> bool:
    _, _, listed = identity.partition("[")
    return bool(hardware.BF16_INSTRUCTION_SETS & set(listed.partition("]")[0].split()))
