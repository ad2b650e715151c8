"""Refuse impossible configurations that the schema accepts, before any job runs."""

from pathlib import Path

from slipway.classification.class_folders import read_class_folders
from slipway.classification.image_files import require_images
from slipway.classification.label_files import read_labels
from slipway.contract.sample_sources import files_of, is_function
from slipway.core import hardware
from slipway.core.errors import SlipwayError, amended
from slipway.core.package_versions import ABSENT, package_version
from slipway.core.serving_environment import require_same_version
from slipway.keys import optimization_profiles, precisions, version_lock
from slipway.keys.publication_validation import require_storage_and_keys
from slipway.keys.resolved_config import ResolvedConfig
from slipway.keys.users_functions import require_function
from slipway.keys.weights_files import PROGRAMS, program_kind, require_sound
from slipway.models.sources import USERS, source_name, source_of
from slipway.onnx.data_files import data_names
from slipway.storage.addresses import is_address
from slipway.triton.server.kinds import PATH, WHEEL
from slipway.triton.server.on_path import on_path_with
from slipway.triton.server.releases import require_one_release


def resolve(config: dict) -> ResolvedConfig:
    """Return a completed configuration, resolved on this machine: versions, hardware and `auto` values are known.

    `config` is config.yaml with the defaults, as `config.complete` returns it. Raises SlipwayError if the configuration
    has an engine that cannot be built on its target, or names a missing file.
    """
    resolved = ResolvedConfig(config)
    require_sources(resolved)
    require_precisions(resolved)
    require_versions(resolved)
    require_files(resolved)
    require_storage_and_keys(resolved.config["deploy"])
    require_labels(resolved)
    require_weights_keys(resolved)
    require_programs(resolved)
    return resolved


def require_files(resolved: ResolvedConfig) -> None:
    """Raise SlipwayError unless every file and folder named in a configuration exists and has the right type."""
    models, deploy = resolved.config["models"], resolved.config["deploy"]
    # Only the machine that signs needs the private key.
    files = {"deploy.signing.public_key": deploy["signing"]["public_key"]}
    files |= {f"deploy.tls.{name}": path for name, path in deploy["tls"].items()}
    folders, sources = {}, {}
    for owner, settings in {
        "": resolved.config,
        **{f"models.{name}.": model for name, model in models.items()},
    }.items():
        files[f"{owner}image"] = settings["image"]
        folders[f"{owner}accuracy.labelled"] = settings["accuracy"].get("labelled")
        folders[f"{owner}calibration.images"] = settings["calibration"].get("images")
    for model, settings in models.items():
        files |= {f"models.{model}.weights": resolved.checkpoint(model), f"models.{model}.labels": settings["labels"]}
        sources[f"models.{model}.samples"] = settings["samples"]
        sources[f"models.{model}.calibration.samples"] = settings["calibration"].get("samples")
    for key, path in {**files, **folders, **sources}.items():
        if path is not None and is_address(path):
            raise SlipwayError(
                f"config: `{key}` is {path!r}, but only `weights` may lie in storage; download it, and name its path"
            )
    for key, path in files.items():
        if path is not None and not Path(path).is_file():
            problem = "is a folder" if Path(path).is_dir() else "does not exist"
            last = key.rsplit(".", maxsplit=1)[-1]
            raise SlipwayError(f"config: `{key}` is {path!r}, which {problem}; correct `{last}` in config.yaml")
    for named, check in ((folders, require_images), (sources, files_of)):
        for key, path in named.items():
            if path is not None and not is_function(path):
                with amended(f"config: `{key}`: "):
                    check(path)


def require_labels(resolved: ResolvedConfig) -> None:
    """Raise SlipwayError unless each `labels` file can be read, and has a class for each folder of photographs."""
    for model, settings in resolved.config["models"].items():
        labelled = resolved.accuracy(model)["labelled"]
        if settings["labels"] is not None:
            with amended(f"config: `models.{model}.labels`: "):
                labels = read_labels(settings["labels"])
                if labelled is not None and settings["output"] != "tensor":
                    read_class_folders(Path(labelled), labels, "file")


def require_sources(resolved: ResolvedConfig) -> None:
    """Raise SlipwayError if the package that has a model's network, or a file that its `arguments` name, is missing.

    Packages are not checked if jobs run in a container image, or if PyTorch is missing here, because then jobs run
    elsewhere.
    """
    for model, settings in resolved.config["models"].items():
        if _jobs_are_here(resolved) and settings["architecture"]:
            with amended(f"config: `models.{model}.architecture`: "):
                require_installed(settings["architecture"])
        resolved.arguments(model)


def require_installed(architecture: str) -> None:
    """Raise SlipwayError if the package that has the network `architecture`, such as timm, is not installed.

    The message has the command that installs the package. Nothing is imported.
    """
    source = source_of(architecture)
    if source.package and package_version(source.package) == ABSENT:
        raise SlipwayError(f"{architecture} needs {source.package}, which is not installed here; {source.installation}")


def require_users_packages(resolved: ResolvedConfig) -> None:
    """Raise SlipwayError if a "package.module:name" in a configuration does not exist. Imports nothing.

    Without this check, planning would show every artifact as stale, and a mistake would show only when a job fails.
    """
    keys: dict[str, str] = {}  # {"package.module:name": its first dotted key}
    for model, settings in resolved.config["models"].items() if _jobs_are_here(resolved) else []:
        named = {"samples": settings["samples"]}
        if source_name(settings["architecture"] or "") == USERS:
            named["architecture"] = settings["architecture"]
        named |= {f"{name}.samples": settings[name].get("samples") for name in ("accuracy", "calibration")}
        named["metric.function"] = (settings["metric"] or {}).get("function")
        for key, value in named.items():
            if value and is_function(value):
                keys.setdefault(value, f"models.{model}.{key}")
    for reference, key in keys.items():
        require_function(key, reference)


def _jobs_are_here(resolved: ResolvedConfig) -> bool:
    return resolved.config["container"] is None and package_version("torch") != ABSENT


def require_weights_keys(resolved: ResolvedConfig) -> None:
    """Raise SlipwayError if a model without a weights file has a `weights_key`, a name of weights in the file."""
    for model, settings in resolved.config["models"].items():
        if settings["weights_key"] is not None and not (resolved.checkpoint(model) or resolved.address(model)):
            raise SlipwayError(
                f"config: `models.{model}.weights_key` is {settings['weights_key']!r}, but `weights` is "
                f"{settings['weights']}, which has one set of weights; name your checkpoint there, or leave "
                "`weights_key` out"
            )


def require_programs(resolved: ResolvedConfig) -> None:
    """Raise SlipwayError if a model has neither an architecture nor a program, or has both.

    A program is a weights file with the network inside, such as TorchScript. A program that is damaged is an error,
    too.
    """
    for model, settings in resolved.config["models"].items():
        path, architecture = resolved.checkpoint(model) or resolved.address(model), settings["architecture"]
        kind = path and (program_kind(path) or resolved.program_kind(model))
        if architecture is None:
            if path is None or kind is None:
                raise SlipwayError(
                    f"config: `models.{model}` has no `architecture`, and {path} is no program (an exported program "
                    "(.pt2), a TorchScript archive or an ONNX file) but a state dict, or damaged; add the network that "
                    "it is of, such as `architecture: resnet50` or `architecture: your.package:factory`"
                )
            require_sound(path, kind, f"config: `models.{model}.weights`")
            if resolved.is_onnx_file(model) and resolved.checkpoint(model):
                with amended(f"config: `models.{model}.weights`: "):
                    data_names(path)
        elif kind:
            raise SlipwayError(
                f"config: `models.{model}.architecture` is {architecture!r}, but {path} is {PROGRAMS[kind]}, which has "
                f"its network inside; write `weights: {path}` without `architecture`, or name the file of a state dict"
            )
        for name in ("arguments", "weights_key"):
            if kind and settings[name]:
                raise SlipwayError(
                    f"config: `models.{model}.{name}` is {settings[name]!r}, but {path} is {PROGRAMS[kind]}, which is "
                    f"served as it is; leave `{name}` out"
                )


def require_precisions(resolved: ResolvedConfig) -> None:
    """Raise SlipwayError if an engine cannot be built on its target.

    The reason is its runtime, its hardware, or a lack of calibration data or of an optimization profile.
    """
    for target in resolved.targets:
        runtime, identity = resolved.runtime(target), resolved.hardware(target)
        version = resolved.runtime_version(runtime, target)
        needs_gpu = resolved.traits(target).needs_gpu
        if needs_gpu != hardware.is_gpu(identity):
            needs = "a GPU" if needs_gpu else "a CPU"
            raise SlipwayError(
                f"config: `targets.{target}` has the runtime {runtime}, which needs {needs}, but its hardware is "
                f"'{identity}'; correct one of them; a GPU is named like \"NVIDIA L4 (compute capability 8.9)\""
            )
        for precision in resolved.precisions(target):
            has = f"config: `targets.{target}.precisions` has {precision}"
            if reason := precisions.refusal(runtime, version, identity, precision):
                raise SlipwayError(f"{has}, but {reason}")
            models = [model for model in resolved.models if precision in resolved.precisions(target, model)]
            uncalibrated = [model for model in models if not resolved.is_calibrated(model)]
            if precision in ("int8", "fp8") and uncalibrated:
                raise SlipwayError(f"{has}, which needs {_calibration_data(resolved, uncalibrated[0])}")
            if resolved.runs_tensorrt(target) and not resolved.profiles(target, precision):
                raise SlipwayError(
                    f"config: `tensorrt.profiles` has no profile for the {precision} engine of the target {target}; "
                    f"add {precision} to the `precisions` of a profile, or leave `precisions` out of a profile"
                )


def require_batches(resolved: ResolvedConfig) -> None:
    """Raise SlipwayError unless TensorRT engines accept all batch sizes of the checks, benchmarks and load tests.

    Nothing is checked if no model has a batch axis.
    """
    if all(resolved.batched(model) is False for model in resolved.models):
        return
    measured, tested = resolved.config["benchmark"]["batch_sizes"], resolved.config["load_test"]["max_batch_sizes"]
    batches_by_reason = {
        "the sample photograph is": [1],
        f"`benchmark.batch_sizes` is {measured}, so there is": measured,
        f"`load_test.max_batch_sizes` is {tested}, so there may be": range(1, tested[-1] + 1),
    }
    for target, precision in [engine for engine in resolved.engines() if resolved.runs_tensorrt(engine[0])]:
        profiles = resolved.profiles(target, precision)
        for words, batches in batches_by_reason.items():
            if missing := optimization_profiles.unsupported_batches(profiles, batches):
                raise SlipwayError(
                    f"config: {words} a batch of {missing[0]}, but the profiles of the {precision} engine for {target} "
                    f"take batches of {optimization_profiles.in_words(profiles)}; widen `tensorrt.profiles`, or "
                    "lower these batch sizes"
                )


def require_versions(resolved: ResolvedConfig) -> None:
    """Raise SlipwayError if the server has a version of a runtime that cannot run the engines built here.

    TensorRT engines are built by the version that `runtime_version` returns, other engines by the installed version of
    their runtime. Also raises SlipwayError if `triton` names two releases.
    """
    require_one_release(resolved.config["triton"])
    for target in resolved.targets:
        runtime, compatibility = resolved.traits(target), resolved.tensorrt(target)["compatibility"]
        if target in resolved.locked_targets():
            version = resolved.runtime_version("tensorrt", target)
            version_lock.require_lock(target, version, resolved.config["triton"], compatibility)
        elif not runtime.is_tensorrt and (built := package_version(runtime.package)) != ABSENT:
            try:
                require_same_version(f"config: target {target}", runtime, built)
            except SlipwayError:
                # A native backend of the server would run the engines. The smoke test then shows whether it can.
                run = resolved.server(target).run
                if run == WHEEL or (run == PATH and not on_path_with({runtime.backend})):
                    raise


def _calibration_data(resolved: ResolvedConfig, model: str) -> str:
    """Return in words the calibration data that a model lacks, and the setting that names such data."""
    if resolved.samples(model):
        return f"inputs of {model} to take its scales from; name their source as `models.{model}.calibration.samples`"
    place = "calibration.images" if len(resolved.models) == 1 else f"models.{model}.calibration.images"
    return f"photographs to take its scales from; name a folder of them as `{place}`"
