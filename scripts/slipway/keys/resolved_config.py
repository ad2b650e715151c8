"""The resolved configuration: all `auto` values are decided, versions and hardware are detected.

A target is a kind of GPU or CPU that config.yaml names, with the runtime that builds and runs engines on it. This
module imports neither PyTorch nor a runtime, so that the Snakefile is parsed in a fraction of a second. Versions come
from the metadata of packages, hardware from the operating system.
"""

from functools import cache

from slipway.core import hardware, packages
from slipway.core.errors import SlipwayError
from slipway.core.package_versions import ABSENT, package_version
from slipway.keys import precisions, version_lock
from slipway.keys.optimization_profiles import sizes_of
from slipway.keys.resolved_models import ResolvedModels
from slipway.runtimes import RUNTIMES
from slipway.runtimes.traits import RuntimeTraits
from slipway.triton.server import releases, server_choice
from slipway.triton.server.server_options import ServerChoice


class ResolvedConfig(ResolvedModels):
    """A completed configuration (config.yaml with the defaults), resolved on this machine.

    The methods return the runtimes, versions, precisions and optimization profiles of its targets and models.
    """

    def __init__(self, config: dict) -> None:
        super().__init__(config)
        self.targets = list(config["targets"])
        self.deployed_target = config["deploy"]["target"] or self.targets[0]
        self.fleet = config["deploy"]["fleet"] or self._automatic_fleet()
        # Returns the tritonserver that is load-tested and serves a target's engines on this machine.
        self.server = cache(self._choose_server)

    def runtime(self, target: str) -> str:
        """Return the runtime of a target. `auto` is TensorRT if TensorRT and a GPU are present, else OpenVINO."""
        declared = self.config["targets"][target]["runtime"]
        if declared != "auto":
            return declared
        if self.runtime_version("tensorrt", target) == ABSENT:  # checked first: cheaper than detecting a GPU
            return "openvino"
        identity = self.config["targets"][target]["hardware"]
        on_gpu = hardware.gpu_identity() is not None if identity == "auto" else hardware.is_gpu(identity)
        return "tensorrt" if on_gpu else "openvino"

    def traits(self, target: str) -> RuntimeTraits:
        """Return the traits of a target's runtime: the facts that Slipway needs without an import of the runtime."""
        return RUNTIMES[self.runtime(target)]

    def targets_of(self, runtime: str) -> list[str]:
        """Return the names of the targets whose runtime is `runtime`."""
        return [target for target in self.targets if self.runtime(target) == runtime]

    def runs_tensorrt(self, target: str) -> bool:
        """Return whether a target's engines are built by TensorRT or by TensorRT for RTX."""
        return self.traits(target).is_tensorrt

    def runtime_version(self, runtime: str, target: str) -> str:
        """Return the version of a runtime that is declared for a target, else the installed version, or "absent"."""
        if not RUNTIMES[runtime].is_tensorrt:
            return package_version(RUNTIMES[runtime].package)
        return self.tensorrt(target)["version"] or packages.runtime_version(runtime, self.tensorrt(target)["python"])

    def tensorrt(self, target: str) -> dict:
        """Return {setting: value} of the section `tensorrt` of config.yaml, as it applies to a target.

        Settings of the target itself override the common settings.
        """
        return {**self.config["tensorrt"], **self.config["targets"][target]["tensorrt"]}

    def interpreter(self, target: str) -> str:
        """Return the Python interpreter that builds a target's engines: the path in `tensorrt.python`, or "python"."""
        python = self.tensorrt(target)["python"] if self.runs_tensorrt(target) else None
        return python or "python"

    def precisions(self, target: str, model: str | None = None) -> list[str]:
        """Return the precisions of a model's engines on a target, with `auto` resolved.

        Without `model`, return the precisions of all models' engines on the target.
        """
        declared = self.config["targets"][target]["precisions"]
        if declared != "auto":
            return declared
        calibrated = any(map(self.is_calibrated, [model] if model else self.models))
        return precisions.automatic(self.runtime(target), self.hardware(target), calibrated)

    def engines(self, model: str | None = None) -> list[tuple[str, str]]:
        """Return [(target, precision)] of the engines of a model; without `model`, of all models."""
        return [(target, precision) for target in self.targets for precision in self.precisions(target, model)]

    def all_precisions(self) -> list[str]:
        """Return the precisions of all targets' engines without duplicates, in the order of first use."""
        return list(dict.fromkeys(precision for _, precision in self.engines()))

    def variant(self, target: str, precision: str) -> str:
        """Return the ONNX variant that an engine is built from, such as "fp32", "fp16" or "int8-fp16".

        A variant is an ONNX file of the model in a precision. Its name differs from the engine's `precision` where the
        runtime lowers the precision itself, or where the file has layers of two precisions.
        """
        runtime = self.runtime(target)
        return precisions.variant(runtime, self.runtime_version(runtime, target), precision)

    def variants(self, model: str) -> list[str]:
        """Return a model's ONNX variants (files in a precision) that its engines need, such as ["fp32", "int8-fp16"].

        FP32 is always the first, since the other variants are made from it.
        """
        return list(dict.fromkeys(["fp32", *self.variants_of(model, self.targets)]))

    def variants_of(self, model: str, targets: list[str]) -> list[str]:
        """Return the ONNX variants (files in a precision) that a model's engines on `targets` need.

        They are without duplicates, in the order of first use.
        """
        needed = [self.variant(target, name) for target in targets for name in self.precisions(target, model)]
        return list(dict.fromkeys(needed))

    def diagnosed(self, model: str) -> list[str]:
        """Return the names of a model's ONNX variants (files in a precision) that can be diagnosed, without FP32.

        If a runtime itself builds a lower precision, such as BF16, from the FP32 file, this precision is among the
        names.
        """
        engines = [(self.variant(target, name), name) for target, name in self.engines(model)]
        variants = [name if variant == "fp32" else variant for variant, name in engines]
        return [name for name in dict.fromkeys(variants) if name != "fp32"]

    def preflight_variants(self, model: str) -> list[str]:
        """Return a model's ONNX variants (files in a precision) for which rule `preflight` tries a build without a GPU.

        They are FP32, FP16, INT8 if the model has calibration data, and the variants of the targets' engines.
        """
        quantized = ["int8-fp16"] if self.is_calibrated(model) else []
        others = [name for name in self.variants(model) if name != "int8-onnxruntime"]
        return list(dict.fromkeys(["fp32", "fp16", *quantized, *others]))

    def hardware(self, target: str) -> str:
        """Return the identity of a target's CPU or GPU, such as "NVIDIA L4 (compute capability 8.9)".

        It is declared in config.yaml or detected. Raises SlipwayError if the target needs a GPU that is not declared,
        and this machine has none.
        """
        declared = self.config["targets"][target]["hardware"]
        if declared != "auto":
            return declared
        if not self.traits(target).needs_gpu:
            return hardware.cpu_identity()
        identity = hardware.gpu_identity()
        if identity is None:
            raise SlipwayError(
                f"config: `targets.{target}.hardware` is auto, but no GPU is here to detect; declare the GPU, such as "
                '"NVIDIA L4 (compute capability 8.9)", and run the target\'s jobs on a machine with this GPU'
            )
        return identity

    def runs_on_gpu(self, target: str) -> bool:
        """Return whether a target's jobs need a GPU."""
        return hardware.is_gpu(self.hardware(target))

    def _choose_server(self, target: str) -> ServerChoice:
        return server_choice.choose(self.config["triton"], self.traits(target))

    def lock(self, target: str) -> dict:
        """Return whether a target's engines load in the Triton that serves them, for the index of a repository.

        The result is {"triton_release", "tensorrt_of_release", "source", "verified"}. "triton_release" is the release
        in config.yaml. "tensorrt_of_release" is the TensorRT version in this release, None if unknown. "source" states
        in words where this version was found. "verified" is whether this TensorRT is known to load the engines. For a
        runtime other than TensorRT, "verified" is False, and "source" says that the runtime has no version lock.
        """
        triton = self.config["triton"]
        lock = {"triton_release": triton["release"], "tensorrt_of_release": None, "verified": False}
        if target not in self.locked_targets():
            return {**lock, "source": f"{self.runtime(target)} has no version lock"}
        built, served = self.runtime_version("tensorrt", target), version_lock.served_tensorrt(triton)
        if served.version is not None and built != ABSENT:
            lock["verified"] = version_lock.runs_under(built, served.version, self.tensorrt(target)["compatibility"])
        return {**lock, "tensorrt_of_release": served.version, "source": served.source}

    def default_release(self) -> str | None:
        """Return the default Triton release, the newest known one; None if there is no default.

        There is no default if the user named a release or an image. There is none for TensorRT either: an engine
        depends on the release that serves it, so the user must name the release.
        """
        triton = self.config["triton"]
        if triton["release"] or triton["image"] or set(self.fleet) & set(self.locked_targets()):
            return None
        return releases.newest()

    def locked_targets(self) -> list[str]:
        """Return the targets with the runtime `tensorrt`, whose TensorRT version must match Triton's.

        With another version, Triton cannot load the engines. It can never load engines of TensorRT for RTX, so targets
        with that runtime are not in the result.
        """
        return self.targets_of("tensorrt")

    def timing_cache(self, target: str) -> str | None:
        """Return the path of TensorRT's timing cache for a target; None if the target uses no cache.

        The cache makes builds faster and does not decide whether an engine is stale, so no key has it.
        """
        used = self.runtime(target) == "tensorrt" and self.tensorrt(target)["timing_cache"]
        return f"results/.timing/{target}.cache" if used else None

    def profiles(self, target: str, precision: str) -> list[dict]:
        """Return the optimization profiles of the engine in a precision: [{"min", "opt", "max"}], each a batch size.

        Profiles of config.yaml that are for other precisions only are left out.
        """
        profiles = self.tensorrt(target)["profiles"]
        return [sizes_of(profile) for profile in profiles if precision in profile.get("precisions", [precision])]

    def opset(self) -> int:
        """Return the newest ONNX opset that the runtimes of all targets can read."""
        readers = [(self.runtime(target), target) for target in self.targets]
        return min(precisions.newest_opset(name, self.runtime_version(name, target)) for name, target in readers)

    def _automatic_fleet(self) -> list[str]:
        """Return the targets in the manifests if `deploy.fleet` is not set: all GPU targets, or else one CPU target.

        Only targets count whose engines Triton loads with a backend of its own, and not with the Python backend.
        """
        served = [target for target in self.targets if self.traits(target).native_backend]
        on_gpu = [target for target in served if self.traits(target).needs_gpu]
        return on_gpu or ([self.deployed_target] if self.deployed_target in served else served[:1])

    @property
    def monitored_targets(self) -> list[str]:
        """Return the targets that serve at `deploy.to`, for the alerts and the dashboard.

        Alerts compare live figures with the load tests of these targets.
        """
        elsewhere = self.config["deploy"]["to"] != "local"
        return self.fleet if elsewhere and self.fleet else [self.deployed_target]
