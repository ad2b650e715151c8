"""What each job of a configuration is keyed on, beside its input files."""

import json

from slipway import hardware, toolchain
from slipway.decisions import Decisions, package_version
from slipway.local_server import start_number
from slipway.settings import Settings


class Plan(Decisions):
    """The jobs of one completed configuration. Its methods named after artifacts return the Settings of their rule."""

    def weights(self, model: str) -> Settings:
        """Return what the canonical checkpoint is keyed on."""
        chosen = self.config["models"][model]
        local = self.checkpoint(model)
        return Settings(
            architecture=chosen["architecture"],
            arguments=json.dumps(chosen["arguments"], sort_keys=True),
            **({} if local else {"weights": chosen["weights"]}),
        )

    def _preprocessing(self, model: str) -> Settings:
        """Return what turns a photograph into the model's input."""
        return Settings(self.config["models"][model]["preprocess"])

    def golden(self, model: str) -> Settings:
        """Return what the golden input and logits are keyed on."""
        return Settings(self._preprocessing(model), input=self.input(model))

    def profile(self, model: str) -> Settings:
        """Return what the profile is keyed on."""
        return Settings(self.config["profile"], crop=self.crop(model), torch_version=package_version("torch"))

    def onnx(self, model: str) -> Settings:
        """Return what the ONNX file is keyed on."""
        # Without normalisation in the graph, only the size matters to it.
        preprocess = self._preprocessing(model) if self.input(model) == "uint8" else Settings(crop=self.crop(model))
        return Settings(preprocess, opset=self.opset(), input=self.input(model), torch_version=package_version("torch"))

    def cast(self) -> Settings:
        """Return what an ONNX file of lower precision is keyed on."""
        return Settings(modelopt_version=package_version("nvidia-modelopt"))

    def quantization(self, model: str) -> Settings:
        """Return what a quantized ONNX file is keyed on, beside the photographs that calibrate it."""
        chosen = self.config["calibration"]
        limits = {name: chosen[name] for name in ("images", "max_images", "min_images", "method")}
        return Settings(limits, **self.golden(model), modelopt_version=package_version("nvidia-modelopt"))

    def engine(self, target: str, precision: str) -> Settings:
        """Return what an engine is keyed on."""
        runtime = self.runtime(target)
        key = Settings(
            runtime=runtime,
            runtime_version=self.runtime_version(runtime, target),
            precision=precision,
            hardware=self.hardware(target),
        )
        return Settings(key, **self._builder(target, precision)) if self.runs_tensorrt(target) else key

    def _builder(self, target: str, precision: str) -> dict[str, str]:
        """Return what a TensorRT engine is keyed on beside all others."""
        runtime, chosen = self.runtime(target), self.tensorrt(target)
        names = ("workspace_mb", "optimization_level", "tf32", "tactic_sources", "compatibility")
        builder = {name: chosen[name] for name in names} | {"profiles": self.profiles(target, precision)}
        if runtime == "tensorrt_rtx":
            builder["compute_capability"] = hardware.compute_capability_of(self.hardware(target))
        cuda = chosen["cuda"] or toolchain.cuda_version(runtime, chosen["python"])
        return {"cuda": cuda, "builder": json.dumps(builder, sort_keys=True)}

    def preflight(self) -> Settings:
        """Return what the trial build without a GPU is keyed on."""
        chosen = self.config["preflight"]
        return Settings(
            compute_capability=chosen["compute_capability"],
            profiles=json.dumps(
                [{end: sizes[end] for end in ("min", "opt", "max")} for sizes in self.config["tensorrt"]["profiles"]]
            ),
            tensorrt_rtx_version=toolchain.runtime_version("tensorrt_rtx"),
        )

    def benchmark(self, model: str, target: str) -> Settings:
        """Return what a benchmark is keyed on."""
        measured = dict(self.config["benchmark"])
        if not self.runs_on_gpu(target):
            measured.pop("streams")
        return Settings(
            {**self.golden(model), **measured}, hardware=self.hardware(target), torch_version=package_version("torch")
        )

    def accuracy(self, model: str, precision: str) -> Settings:
        """Return what the comparison of an engine's answers with PyTorch's is keyed on."""
        checked = self.config["accuracy"]
        return Settings(
            {**self.golden(model), **checked["limits"][precision]},
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
            triton=package_version("nvidia-pytriton"),
            perf=package_version("tritonclient"),
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
