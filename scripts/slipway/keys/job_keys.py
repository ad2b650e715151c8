"""The key of each job of a configuration: settings, versions, hardware, code, and contents of the user's files.

If the key differs from the key of the last run, the job is stale. No key has artifacts of other jobs, because Snakemake
compares these artifacts as input files.
"""

import json
from pathlib import Path

from slipway.core import packages
from slipway.core.job_preconditions import installed_version
from slipway.core.records import read_record
from slipway.keys.deployment_keys import DeploymentKeys
from slipway.keys.job_key import JobKey
from slipway.keys.optimization_profiles import sizes_of
from slipway.load_test.limits import breaks_still
from slipway.triton.server.container_programs import image_to_run
from slipway.triton.server.kinds import CONTAINER, WHEEL
from slipway.triton.server.server_choice import image_that_serves

# The settings of the load test that only its open loop uses.
OPEN_LOOP = ("request_rates", "capacity_minutes")


def versions(*names: str) -> dict[str, str]:
    """Return {option: installed version} of packages, such as {"torch_version": "2.9.1"} for the name "torch".

    The version of a missing package is "absent".
    """
    return {option: installed_version(option) for option in (f"{name}_version" for name in names)}


class JobKeys(DeploymentKeys):
    """The keys of all jobs of a configuration: {option: value} of everything that makes a job stale when it changes.

    A method with the name of a rule returns the key of the rule's job, and runs nothing.
    """

    def sample_inputs(self, model: str) -> JobKey:
        """Return the key of the job that makes a model's sample inputs, from the user's samples or a photograph.

        The key has the content or code of the source. For a photograph it also has the preprocessing.
        """
        program = self._parts.program("sample_inputs")
        if source := self.resolved.samples(model):
            targets = self.resolved.metric_targets(model) or None
            return JobKey(program, self._parts.samples(source), batched=self.resolved.batched(model), targets=targets)
        image_sha256 = self._parts.content(self.resolved.image(model))
        preprocessing = self._parts.unplanned_preprocessing(model)
        return JobKey(program, self._parts.input(model), preprocessing, image_sha256=image_sha256)

    def fetch_weights(self, model: str) -> JobKey:
        """Return the key of the job that makes the canonical checkpoint (.safetensors), which later jobs load.

        The key has the weights file, or the name and version of published weights, the architecture, and code.
        """
        settings = self.resolved.config["models"][model]
        published = {"weights": settings["weights"], **versions("torchvision")}
        return JobKey(
            self._parts.program_with_network("fetch_weights", model),
            self._parts.weights_file(model) or published,
            architecture=settings["architecture"],
            weights_key=settings["weights_key"],
            arguments=json.dumps(self.resolved.arguments(model), sort_keys=True),
        )

    def take_program(self, model: str) -> JobKey:
        """Return the key of the job that copies and checks a weights file with the network inside, such as .pt2."""
        return JobKey(
            self._parts.program_with_network("take_program", model),
            self._parts.weights_file(model),
            kind=self.resolved.program_kind(model),
        )

    def make_contract(self, model: str) -> JobKey:
        """Return the key of the job that finds the contract, the description of a model's inputs and outputs.

        The key has the settings of config.yaml about inputs, outputs and labels, the versions of PyTorch, and code.
        """
        settings = self.resolved.config["models"][model]
        of_samples = {name: json.dumps(settings[name]) for name in ("inputs", "axes", "outputs")}
        return JobKey(
            self._parts.program_with_network("make_contract", model),
            of_samples if self.resolved.samples(model) else {},
            versions("torch", "torchvision"),
            meaning=settings["output"],
            labels_from_sha256=self._parts.content(settings["labels"]),
        )

    def reference_outputs(self, model: str) -> JobKey:
        """Return the key of the job that computes PyTorch's outputs for the samples, to compare engines with them."""
        return JobKey(self._parts.program_with_network("reference_outputs", model), versions("torch"))

    def profile_model(self, model: str) -> JobKey:
        """Return the key of the job that runs a model under PyTorch's profiler: settings, inputs, version, code."""
        program = self._parts.program_with_network("profile_model", model)
        return JobKey(program, self.resolved.config["profile"], self._parts.interface(model), versions("torch"))

    def export_onnx(self, model: str) -> JobKey:
        """Return the key of the job that exports a model to ONNX: inputs, opset, versions of exporters, code."""
        program = self._parts.program_with_network("export_onnx", model)
        # PyTorch's exporters write the graph with onnxscript, and onnxslim simplifies it.
        exporters = versions("torch", "onnxscript", "onnxslim")
        return JobKey(program, self._parts.interface(model), exporters, opset=self.resolved.opset())

    def cast_onnx(self, model: str, variant: str) -> JobKey:
        """Return the key of the job that makes `variant`, the FP16 or BF16 ONNX file, from the FP32 ONNX file.

        The key has the layers that stay in FP32, the version of ModelOpt, and code.
        """
        kept = self.resolved.excepted(model, variant)
        return JobKey(self._parts.program("cast_onnx"), versions("modelopt"), keep_in_fp32=kept)

    def quantize_onnx(self, model: str, variant: str) -> JobKey:
        """Return the key of the job that makes `variant`, the INT8 or FP8 ONNX file, from the FP32 ONNX file.

        The key has the calibration data, the layers that are not quantized, the version of ModelOpt, and code.
        """
        calibration = self.resolved.calibration(model)
        settings = {name: calibration[name] for name in ("max_samples", "min_samples", "method")}
        program, excluded = self._parts.program("quantize_onnx"), self.resolved.excepted(model, variant)
        return JobKey(program, self._parts.calibration(model), settings, versions("modelopt"), not_quantized=excluded)

    def diagnose_precision(self, model: str, variant: str) -> JobKey:
        """Return the key of the job that finds the layers in which the error of a variant, such as "fp16", begins.

        The job converts the FP32 file to the variant itself, so its key also has the options of the conversion.
        """
        is_cast = variant in ("fp16", "bf16")
        conversion = (self.cast_onnx if is_cast else self.quantize_onnx)(model, variant)
        return JobKey(
            self._parts.program("diagnose_precision"),
            self.resolved.accuracy(model)["limits"][variant.partition("-")[0]],
            self._parts.evaluation(model),
            conversion=str(conversion),
            takes_list=variant in self.resolved.variants(model),
        )

    def build_engine(self, target: str, precision: str) -> JobKey:
        """Return the key of the job that builds an engine: runtime, precision, build settings, hardware, code."""
        runtime = self.resolved.runtime(target)
        return JobKey(
            self._parts.program("build_engine", self.resolved.traits(target).module),
            self._parts.builder(target, precision) if self.resolved.runs_tensorrt(target) else {},
            runtime=runtime,
            runtime_version=self.resolved.runtime_version(runtime, target),
            precision=precision,
            hardware=self.resolved.hardware(target),
        )

    def gates(self, model: str, target: str, precision: str) -> dict:
        """Return {option: value} of the limits (accuracy, slowdown) within which a new engine may replace an old one.

        Only engines of the runtime `tensorrt` have such limits; return {} for other engines. No key has these options,
        so a changed limit does not rebuild an engine.
        """
        if self.resolved.runtime(target) != "tensorrt":
            return {}
        limits = json.dumps(self.resolved.accuracy(model)["limits"][precision])
        return {"limits": limits, "max_slowdown": self.resolved.tensorrt(target)["max_slowdown"]}

    def preflight_onnx(self) -> JobKey:
        """Return the key of the job that tests, without a GPU, whether TensorRT for RTX builds the ONNX files."""
        return JobKey(
            self._parts.program("preflight_onnx", "tensorrt_rtx"),
            compute_capability=self.resolved.config["preflight"]["compute_capability"],
            profiles=json.dumps([sizes_of(profile) for profile in self.resolved.config["tensorrt"]["profiles"]]),
            tensorrt_rtx_version=packages.runtime_version("tensorrt_rtx"),
        )

    def benchmark(self, model: str, target: str) -> JobKey:
        """Return the key of the job that benchmarks a target's engines: settings, versions, hardware, code."""
        settings = dict(self.resolved.config["benchmark"])
        if not self.resolved.runs_on_gpu(target):
            settings.pop("streams")
        program = self._parts.program_with_runtime("benchmark", target)
        hardware = self.resolved.hardware(target)
        return JobKey(program, self._parts.network(model), settings, versions("torch"), hardware=hardware)

    def check_accuracy(self, model: str, target: str, precision: str) -> JobKey:
        """Return the key of the job that compares an engine's outputs with PyTorch's: limits, evaluation data, code."""
        program = self._parts.program_with_runtime("check_accuracy", target)
        limits = self.resolved.accuracy(model)["limits"][precision]
        return JobKey(program, limits, self._parts.evaluation(model))

    def evaluate_checkpoint(self, model: str) -> JobKey:
        """Return the key of the job that computes PyTorch's answers to the evaluation data: data, metric, versions.

        The preprocessing is not in the key, because it is in the contract, an input file, which Snakemake compares.
        """
        return JobKey(
            self._parts.program_with_network("evaluate_checkpoint", model),
            self._parts.evaluation(model),
            versions("torch"),
            labels_from_sha256=self._parts.content(self.resolved.config["models"][model]["labels"]),
        )

    def load_test(self, model: str, target: str) -> JobKey:
        """Return the key of the job that load-tests a target's engines: settings, server, versions, hardware, code.

        The key has no limits, no goal and no settings of the requests at random times, because only later jobs use
        them.
        """
        settings, others = self.resolved.config["load_test"], {*self._parts.choice(), *OPEN_LOOP}
        return JobKey(
            self._parts.server_program("load_test", target),
            {name: value for name, value in settings.items() if name not in others},
            self._server(target),
            versions("perf_analyzer", "model_analyzer"),
            hardware=self.resolved.hardware(target),
            widened=self._widened(model, target),
            server_image_id=self._image_id(model, target),
        )

    def limits_of_filter(self) -> dict:
        """Return {"p99_limit_ms": ms or None, "min_throughput_per_s": inferences/s or None}; None is no limit.

        An engine that breaks a limit already in the benchmark is left out of the load test. No key has these options,
        so a changed limit does not repeat the load test.
        """
        return {name: self.resolved.config["load_test"][name] for name in ("p99_limit_ms", "min_throughput_per_s")}

    def _widened(self, model: str, target: str) -> int | None:
        """Return how often the load test was repeated for an engine that an earlier limit left out; None if never.

        The load test leaves out engines that break a limit. If one of them is within the present limit by its recorded
        figure, the number is one higher, so that the load test runs again with this engine.
        """
        last = read_record(Path(f"results/{model}/{target}/analysis/analysis.json"), {"key": dict})
        if last is None:
            return None
        settings, number = self.resolved.config["load_test"], last["key"].get("widened")
        limits = {"p99_ms": settings["p99_limit_ms"], "min_throughput_per_s": settings["min_throughput_per_s"]}
        is_stale = any(not breaks_still(entry, limits) for entry in last.get("left_out", []))
        return (number or 0) + 1 if is_stale else number

    def _image_id(self, model: str, target: str) -> str | None:
        """Return the id of the container image that runs the load test's server.

        Return None if the server runs in no container, or if this machine does not have the image. With the id in the
        key, the load test becomes stale if another image gets the same name. It does not become stale because its own
        job pulled the image.
        """
        choice = self.resolved.server(target)
        if choice.run != CONTAINER or (image := image_to_run(choice.image)) is None:
            return None
        last = read_record(Path(f"results/{model}/{target}/analysis/analysis.json"), {"key": dict, "server": dict})
        is_measured = last is not None and last["server"].get("image_id") == image.id
        return last["key"].get("server_image_id") if is_measured else image.id

    def measure_capacity(self, target: str) -> JobKey:
        """Return the key of the job that measures the capacity with requests at random times (open loop).

        The key has the limits and the goal, because they decide which configurations are measured.
        """
        settings = self.resolved.config["load_test"]
        rates = settings["request_rates"]
        return JobKey(
            self._parts.server_program("measure_capacity", target),
            self._parts.choice(),
            self._server(target),
            versions("perf_analyzer"),
            requests=settings["requests"],
            capacity_minutes=settings["capacity_minutes"],
            request_rates=rates if isinstance(rates, list) else [rates],
            hardware=self.resolved.hardware(target),
        )

    def _server(self, target: str) -> dict:
        """Return {option: value} that tells a program which tritonserver to start, as `ServerChoice.settings` does.

        For the server in the wheel nvidia-pytriton, the version of this package is added.
        """
        choice = self.resolved.server(target)
        return choice.settings() | (versions("pytriton") if choice.run == WHEEL else {})

    def render_load_test(self) -> JobKey:
        """Return the key of the job that draws the load test's charts and reports: only the code of its program."""
        return JobKey(self._parts.program("render_load_test"))

    def choose_configuration(self, target: str) -> JobKey:
        """Return the key of the job that chooses the Triton configuration to serve, among the measured ones.

        The key has the limits and the goal, the expected rate of requests, the image and release that serve, and the
        price.
        """
        deploy = self.resolved.config["deploy"]
        return JobKey(
            self._parts.program("choose_configuration"),
            self._parts.choice(),
            rate=deploy["rate"],
            headroom=deploy["headroom"] if deploy["rate"] else None,
            serving_image=image_that_serves(self.resolved.config["triton"]),
            serving_release=self.resolved.config["triton"]["release"],
            price_per_hour=self.resolved.config["targets"][target]["price_per_hour"],
        )
