"""The key of each job of a configuration: settings, versions, hardware and code. Input files are not part of it."""

import json
from pathlib import Path

from slipway.core import packages
from slipway.core.errors import SlipwayError
from slipway.core.job_preconditions import installed_version
from slipway.core.package_versions import ABSENT, package_version
from slipway.core.serving_environment import serving_version
from slipway.deploy.local import server_state
from slipway.deploy.platforms import PLATFORMS
from slipway.keys.file_hash_cache import FileHashCache
from slipway.keys.job_key import JobKey
from slipway.keys.key_parts import KeyParts
from slipway.keys.optimization_profiles import sizes_of
from slipway.keys.resolved_config import ResolvedConfig
from slipway.triton.repository.versions import publication_number


def versions(*names: str) -> dict[str, str]:
    """Return the options that declare the installed versions of packages, such as {"torch_version": "2.9.1"}."""
    return {option: installed_version(option) for option in (f"{name}_version" for name in names)}


class JobKeys:
    """The keys of a configuration's jobs. Each method that returns a JobKey has the name of its rule."""

    def __init__(self, resolved: ResolvedConfig, file_hashes: FileHashCache | None = None) -> None:
        self.resolved = resolved
        self._parts = KeyParts(resolved, file_hashes or FileHashCache())

    def sample_inputs(self, model: str) -> JobKey:
        """Return the key of the samples of a model's inputs."""
        if source := self.resolved.samples(model):
            code = self._parts.code("sample_inputs") | self._parts.code_of_samples(source)
            targets = self.resolved.metric_targets(model) or None
            return JobKey(self._parts.samples(source), batched=self.resolved.batched(model), targets=targets, code=code)
        return JobKey(
            self._parts.input(model),
            image_sha256=self._parts.content(self.resolved.image(model)),
            code=self._parts.code("sample_inputs"),
        )

    def fetch_weights(self, model: str) -> JobKey:
        """Return the key of the canonical checkpoint."""
        settings = self.resolved.config["models"][model]
        checkpoint = self.resolved.checkpoint(model)
        published = {"weights": settings["weights"], **versions("torchvision")}
        return JobKey(
            {"checkpoint_sha256": self._parts.content(checkpoint)} if checkpoint else published,
            architecture=settings["architecture"],
            weights_key=settings["weights_key"],
            arguments=json.dumps(settings["arguments"], sort_keys=True),
            code=self._parts.code_of_model("fetch_weights", model),
        )

    def make_contract(self, model: str) -> JobKey:
        """Return the key of the contract: the inputs and outputs of a model, their meaning and labels."""
        settings = self.resolved.config["models"][model]
        of_samples = {name: json.dumps(settings[name]) for name in ("inputs", "axes", "outputs")}
        return JobKey(
            of_samples if self.resolved.samples(model) else self._parts.input(model),
            meaning=settings["output"],
            labels_from_sha256=self._parts.content(settings["labels"]),
            **versions("torch", "torchvision"),
            code=self._parts.code_of_model("make_contract", model),
        )

    def reference_outputs(self, model: str) -> JobKey:
        """Return the key of the golden answers."""
        return JobKey(versions("torch"), code=self._parts.code_of_model("reference_outputs", model))

    def profile_model(self, model: str) -> JobKey:
        """Return the key of the profile."""
        return JobKey(
            self.resolved.config["profile"],
            **self._parts.interface(model),
            **versions("torch"),
            code=self._parts.code_of_model("profile_model", model),
        )

    def export_onnx(self, model: str) -> JobKey:
        """Return the key of the ONNX file."""
        return JobKey(
            self._parts.interface(model),
            opset=self.resolved.opset(),
            # PyTorch's exporters write the graph with onnxscript, and onnxslim simplifies it.
            **versions("torch", "onnxscript", "onnxslim"),
            code=self._parts.code_of_model("export_onnx", model),
        )

    def cast_onnx(self) -> JobKey:
        """Return the key of an ONNX file of lower precision."""
        return JobKey(versions("modelopt"), code=self._parts.code("cast_onnx"))

    def quantize_onnx(self, model: str) -> JobKey:
        """Return the key of a quantized ONNX file."""
        calibration = self.resolved.calibration(model)
        data, code = self._parts.calibration(model)
        return JobKey(
            data,
            **{name: calibration[name] for name in ("max_samples", "min_samples", "method")},
            **versions("modelopt"),
            code=self._parts.code("quantize_onnx") | code,
        )

    def build_engine(self, target: str, precision: str) -> JobKey:
        """Return the key of an engine."""
        runtime = self.resolved.runtime(target)
        return JobKey(
            self._parts.builder(target, precision) if self.resolved.runs_tensorrt(target) else {},
            runtime=runtime,
            runtime_version=self.resolved.runtime_version(runtime, target),
            precision=precision,
            hardware=self.resolved.hardware(target),
            code=self._parts.code("build_engine", self.resolved.traits(target).module),
        )

    def gates(self, model: str, target: str, precision: str) -> str:
        """Return the options that decide whether a new engine may replace an old one. They are not part of any key."""
        if self.resolved.runtime(target) != "tensorrt":
            return ""
        limits = json.dumps(self.resolved.accuracy(model)["limits"][precision])
        return str(JobKey(limits=limits, max_slowdown=self.resolved.tensorrt(target)["max_slowdown"]))

    def preflight_onnx(self) -> JobKey:
        """Return the key of the trial build without a GPU."""
        preflight = self.resolved.config["preflight"]
        return JobKey(
            compute_capability=preflight["compute_capability"],
            profiles=json.dumps([sizes_of(profile) for profile in self.resolved.config["tensorrt"]["profiles"]]),
            tensorrt_rtx_version=packages.runtime_version("tensorrt_rtx"),
            code=self._parts.code("preflight_onnx", "tensorrt_rtx"),
        )

    def benchmark(self, model: str, target: str) -> JobKey:
        """Return the key of a benchmark."""
        settings = dict(self.resolved.config["benchmark"])
        if not self.resolved.runs_on_gpu(target):
            settings.pop("streams")
        return JobKey(
            settings,
            hardware=self.resolved.hardware(target),
            **versions("torch"),
            code=self._parts.code_with_runtime("benchmark", target) | self._parts.code_of_architecture(model),
        )

    def check_accuracy(self, model: str, target: str, precision: str) -> JobKey:
        """Return the key of the comparison of an engine's outputs with PyTorch's."""
        limits = self.resolved.accuracy(model)["limits"][precision]
        return JobKey(
            {**limits, **self._parts.evaluation(model)},
            code=self._parts.code_with_runtime("check_accuracy", target) | self._parts.code_of_evaluation(model),
        )

    def evaluate_checkpoint(self, model: str) -> JobKey:
        """Return the key of PyTorch's answers to the evaluation data. How its inputs are made is in the contract."""
        return JobKey(
            self._parts.evaluation(model),
            labels_from_sha256=self._parts.content(self.resolved.config["models"][model]["labels"]),
            **versions("torch"),
            code=self._parts.code_of_model("evaluate_checkpoint", model) | self._parts.code_of_evaluation(model),
        )

    def load_test(self, model: str, target: str) -> JobKey:
        """Return the key of the load test. The limits are no part of it: they only choose among its results."""
        settings, limits = self.resolved.config["load_test"], self._parts.limits()
        return JobKey(
            {name: value for name, value in settings.items() if name not in limits},
            hardware=self.resolved.hardware(target),
            **versions("pytriton", "perf_analyzer", "model_analyzer"),
            code=self._parts.code_with_runtime("load_test", target) | self._parts.code_hashes.of_adapter(),
        )

    def render_load_test(self) -> JobKey:
        """Return the key of the load test's reports."""
        return JobKey(self._parts.limits(), code=self._parts.code("render_load_test"))

    def choose_configuration(self) -> JobKey:
        """Return the key of the choice of a configuration."""
        return JobKey(self._parts.limits(), code=self._parts.code("choose_configuration"))

    def write_report(self, model: str) -> JobKey:
        """Return the key of the report page of a model."""
        return JobKey(
            engines=[f"{target}/{precision}" for target, precision in self.resolved.engines()],
            variants=self.resolved.variants(),
            evaluated=self.resolved.has_evaluation(model),
            code=self._parts.code("write_report"),
        )

    def write_repository(self, model: str, target: str) -> JobKey:
        """Return the key of the model repository."""
        return JobKey(
            name=f"{model}_trt",
            triton_release=self.resolved.config["triton"]["release"],
            code=self._parts.code_with_runtime("write_repository", target) | self._parts.code_hashes.of_adapter(),
        )

    def write_monitoring(self) -> JobKey:
        """Return the key of the alerts and the dashboard. Their thresholds come from input files."""
        return JobKey(code=self._parts.code("write_monitoring"))

    def publish_repository(self, record: str = "") -> JobKey:
        """Return the key of a published repository.

        `record` is the path of the last publication's record: if the published files are gone or damaged, the key
        changes. Raises SlipwayError if `deploy.publish.to` is not set.
        """
        to = self.resolved.config["deploy"]["publish"]["to"]
        if to is None:
            raise SlipwayError(
                "config: `deploy.publish.to` says nowhere to publish to; set it to the folder on which the claim is "
                "mounted, or to storage such as s3://bucket/prefix"
            )
        return JobKey(
            to=to,
            claim_path=self.resolved.config["deploy"]["cluster"]["claim_path"],
            publication=publication_number(Path(record)),
            public_key_sha256=self._parts.public_key(),
            code=self._parts.code("publish_repository"),
        )

    def sign_repository(self, signature: str = "") -> JobKey:
        """Return the key of a repository's signature. Of the private key it has only the path and the public half.

        Raises SlipwayError if `deploy.signing.private_key` is not set.
        """
        private_key = self.resolved.config["deploy"]["signing"]["private_key"]
        if private_key is None:
            raise SlipwayError(
                "config: `deploy.signing.private_key` names no key to sign with; set it to the path of a key (.pem)"
            )
        from slipway.triton.repository.signing_keys import signer  # only here, where something is signed

        signed_by = signer(private_key, Path(signature), self._parts.file_hashes.remember)
        key = {"private_key": private_key, "signed_by": signed_by, "public_key_sha256": self._parts.public_key()}
        return JobKey(key, code=self._parts.code("sign_repository"))

    def deploy_release(self, silent: dict[str, str] | None = None) -> JobKey:
        """Return the key of a deployment. Manifests are input files.

        `silent` are the models that are live here but do not answer. If there are any, the next generation number of
        the local server is used.
        """
        settings, to = self.resolved.config["deploy"], self.resolved.config["deploy"]["to"]
        elsewhere = {"context": settings["cluster"]["context"], "publish_to": settings["publish"]["to"]}
        return JobKey(
            self._local_server(silent) if PLATFORMS[to].together else elsewhere,
            to=to,
            public_key_sha256=self._parts.public_key(),
            code=self._parts.code_with_traits("deploy", [self.resolved.deployed_target])
            | self._parts.code_hashes.of_deployment(to),
        )

    def _local_server(self, silent: dict[str, str] | None) -> dict:
        """Return the settings of the local server: target, addresses, ports, TLS, and its generation number."""
        settings = self.resolved.config["deploy"]
        listening = {name: settings[name] for name in ("host", "grpc_port", "metrics_port", "shared_memory")}
        http = {"http_port": settings["http_port"]} if settings["http"] else {}
        tls = {}
        if any(settings["tls"].values()):
            from slipway.triton.server.tls import planned_tls  # only here: without TLS the Snakefile parses faster

            tls = planned_tls(settings["host"], settings["tls"], self._parts.content)
        start = server_state.next_start() if silent else server_state.start_number()
        return {"target": self.resolved.deployed_target, "start": start, **listening, **http, **tls}

    def write_manifests(self) -> JobKey:
        """Return the key of a model's deployment manifests. The measurements are input files."""
        settings, triton = self.resolved.config["deploy"], self.resolved.config["triton"]
        code = self._parts.code_with_traits("write_manifests", self.resolved.fleet)
        server_settings = ("host", "http_port", "grpc_port", "metrics_port", "ready_timeout_s")
        return JobKey(
            {name: settings[name] for name in server_settings},
            targets=self.resolved.fleet,
            cluster=json.dumps({**settings["cluster"], "context": None}, sort_keys=True),
            compose=json.dumps(settings["compose"], sort_keys=True),
            compose_target=self.resolved.deployed_target,
            triton_release=triton["release"],
            oldest=triton["oldest"],
            image=triton["image"],
            code=code | self._parts.code_hashes.of_manifests(),
        )

    def write_sbom(self) -> JobKey:
        """Return the key of a bill of materials. Beside input files, it lists the versions of Slipway's packages."""
        building = {name: package_version(name) for name in packages.required_packages()}
        serving = {name: serving_version(name) for name in packages.required_packages(packages.SERVING)}
        return JobKey(
            targets=self.resolved.fleet,
            packages=[f"{name}=={version}" for name, version in building.items() if version != ABSENT],
            serving_packages=[f"{name}=={version}" for name, version in serving.items() if version != ABSENT],
            code=self._parts.code_with_traits("write_sbom", self.resolved.fleet),
        )
