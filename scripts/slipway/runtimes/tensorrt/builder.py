"""Build an engine: parse the ONNX file, configure the builder, build, and describe the result.

The capabilities of a TensorRT release are found in its Python module (`hasattr`), not derived from its version.
"""

from pathlib import Path
from types import ModuleType
from typing import Any

from . import explain, timing_cache
from .inspector import ENDS, ONE_REQUEST, UNBATCHED, describe, facts_of_network, tensors_of_network
from .library import builds_without_gpu, edition_of, facts_of_work, import_library, logger, started

# Builder flags for 8.x. These releases have no strong typing: the graph's types do not decide the precision.
_WEAK_FLAGS = {"fp32": (), "fp16": ("FP16",), "bf16": ("BF16",), "int8": ("INT8", "FP16"), "fp8": ("FP8", "FP16")}

BATCH = "batch"


def build(onnx: str | Path, path: str | Path, precision: str, options: dict) -> dict:
    """Build the engine at `path` from an ONNX file whose types and Q/DQ nodes define the precision.

    `options` are the `tensorrt` settings in config.yaml: profiles (a list of {"min", "opt", "max"} batch sizes),
    workspace_mb, optimization_level, tf32, tactic_sources, compatibility, refit (False if missing), timing_cache (a
    path or None). With dynamic axes beside the batch axis there are inputs ({name: shape with names of axes}) and axes
    ({name: {"min", "opt", "max"}}). Further options are compute_capability ("8.9") for an edition that builds without a
    GPU, and measure_anew, to ignore the content of the timing cache. Returns the facts for the build record. Raises
    ValueError with the problem and the remedy.
    """
    trt = import_library(edition_of(path))
    log = logger(trt)
    network, builder, _parser = parsed(trt, log, onnx)
    config = builder.create_builder_config()
    settings = _configure(trt, builder, network, config, precision, options)
    with timing_cache.attached(config, options.get("timing_cache"), options.get("measure_anew", False)) as cached:
        plan = builder.build_serialized_network(network, config)
        if plan is None:
            raise ValueError(explain.build_failure(log.errors, options))
    Path(path).write_bytes(plan)
    facts = facts_of_network(trt, network) if builds_without_gpu(trt) else describe(trt, bytes(plan), path)
    # TensorRT 8 states the shapes of an engine's outputs for its first profile alone, such as a batch of 1.
    facts["tensors"] = tensors_of_network(network)
    # An engine that was built without a GPU cannot be read back here: it has the profiles of the options.
    facts.setdefault("profiles", ONE_REQUEST if network.name == UNBATCHED else options["profiles"])
    if network.name == UNBATCHED and facts["profiles"] != ONE_REQUEST:
        raise ValueError(f"TensorRT {trt.__version__} does not keep in the engine that its network has no batch axis")
    return {
        "strongly_typed": _strongly_typed(trt),
        "builder": settings,
        "timing_cache": cached,
        **facts_of_work(trt, log, path),
        **facts,
    }


def parsed(trt: ModuleType, log: Any, onnx: str | Path) -> tuple[Any, Any, Any]:
    """Parse an ONNX file. Return (its network, the builder, the parser), which must all live as long as the network.

    The parser holds the weights. Raises ValueError with the parts of the file that TensorRT does not support.
    """
    builder = started(trt, trt.Builder, log)
    kinds = trt.NetworkDefinitionCreationFlag
    network = builder.create_network(1 << int(kinds.STRONGLY_TYPED if _strongly_typed(trt) else kinds.EXPLICIT_BATCH))
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(onnx)):
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        raise ValueError(explain.parser_errors(trt, onnx, errors))
    return network, builder, parser


def _strongly_typed(trt: ModuleType) -> bool:
    return hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")


def _configure(
    trt: ModuleType, builder: Any, network: Any, config: Any, precision: str, options: dict
) -> dict[str, Any]:
    """Apply all options to the builder's configuration `config`. Return the settings for the build record.

    `options` are those of `build`. The settings are "flags", the names of the builder's flags, and
    "optimization_level", which is None if this release has no levels.
    """
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options["workspace_mb"] << 20)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    flags = _precision_flags(trt, precision)
    for name in flags:
        config.set_flag(getattr(trt.BuilderFlag, name))
    (config.set_flag if options["tf32"] else config.clear_flag)(trt.BuilderFlag.TF32)
    _add_profiles(builder, network, config, options)
    _target(trt, config, options.get("compute_capability"))
    _make_compatible(trt, config, options["compatibility"])
    refit = options.get("refit", False)
    if refit:
        _make_refittable(trt, config)
    _set_tactic_sources(trt, config, options["tactic_sources"])
    level = options["optimization_level"] if hasattr(config, "builder_optimization_level") else None
    if level is not None:
        config.builder_optimization_level = level
    return {
        "flags": [*flags, *(["TF32"] if options["tf32"] else []), *(["REFIT"] if refit else [])],
        "optimization_level": level,
    }


def _precision_flags(trt: ModuleType, precision: str) -> tuple[str, ...]:
    if _strongly_typed(trt):
        return ()
    missing = [name for name in _WEAK_FLAGS[precision] if not hasattr(trt.BuilderFlag, name)]
    if missing:
        raise ValueError(f"TensorRT {trt.__version__} does not build {precision}: it has no {', '.join(missing)}")
    return _WEAK_FLAGS[precision]


def _add_profiles(builder: Any, network: Any, config: Any, options: dict) -> None:
    """Add an optimization profile for each entry of `profiles` in the options: the ranges of the inputs' dynamic axes.

    If all sizes are fixed, none is added. Without a batch axis, only one profile is added, and the network is marked as
    UNBATCHED. Raises ValueError for an input whose values decide sizes, or if TensorRT refuses a profile.
    """
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    for tensor in inputs:
        if tensor.is_shape_tensor:
            raise ValueError(
                f"the values of the input {tensor.name} decide the sizes of other tensors, which these engines do not "
                "take; let the network take the sizes from the shapes of its inputs, or make them constant"
            )
    shapes = {tensor.name: _named_shape(tensor, options.get("inputs")) for tensor in inputs}
    batched = all(shape[:1] == [BATCH] for shape in shapes.values())
    if not batched:
        network.name = UNBATCHED
    if not any(isinstance(size, str) for shape in shapes.values() for size in shape):
        return  # all sizes are fixed
    for batch_sizes in options["profiles"] if batched else options["profiles"][:1]:
        profile = builder.create_optimization_profile()
        ranges = {**options.get("axes", {}), BATCH: batch_sizes}
        for name, shape in shapes.items():
            ends = [tuple(ranges[size][end] if isinstance(size, str) else size for size in shape) for end in ENDS]
            profile.set_shape(name, *ends)
        if config.add_optimization_profile(profile) < 0:
            raise ValueError(f"TensorRT refuses the optimization profile {ranges} of `tensorrt.profiles` and `axes`")


def _named_shape(tensor: Any, declared: dict[str, list] | None) -> list[int | str]:
    """Return the shape of the input `tensor` with the names of its dynamic axes.

    `declared` is {input: shape with names} of the model; None if only the batch axis may be dynamic. Raises ValueError
    if the network has another shape than this.
    """
    sizes = list(tensor.shape)
    batched = [BATCH if size == -1 else size for size in sizes[:1]] + sizes[1:]
    named = batched if declared is None else declared.get(tensor.name, [])
    fits = len(named) == len(sizes) and all(size in (-1, name) for size, name in zip(sizes, named, strict=True))
    if not fits or -1 in named:
        raise ValueError(
            f"the ONNX file has the input {tensor.name} {tuple(sizes)}, which its record does not describe; remove the "
            "file and run snakemake again"
        )
    return named


def _target(trt: ModuleType, config: Any, compute_capability: str | None) -> None:
    """For TensorRT for RTX, set the compute capability ("8.9") of the GPU to build for. It need not be in this machine.

    Raises ValueError if this release does not build for the compute capability.
    """
    if not builds_without_gpu(trt):
        return
    architectures = [name for name in trt.ComputeCapability.__members__ if name.startswith("SM")]
    architecture = f"SM{(compute_capability or '').replace('.', '')}"
    if architecture not in architectures:
        raise ValueError(
            f"TensorRT for RTX {trt.__version__} does not build for compute capability {compute_capability}, only for "
            f"{', '.join(f'{name[2:-1]}.{name[-1]}' for name in architectures)}; correct `hardware` of the target"
        )
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(trt.ComputeCapability, architecture), 0)


def _make_compatible(trt: ModuleType, config: Any, compatibility: str) -> None:
    if compatibility == "none":
        return
    try:
        if compatibility == "version":
            config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
        else:
            config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
    except AttributeError:
        raise ValueError(
            f"TensorRT {trt.__version__} cannot build engines that are {compatibility}-compatible; set "
            "`tensorrt.compatibility: none`, or take 8.6 or newer"
        ) from None


def _make_refittable(trt: ModuleType, config: Any) -> None:
    if builds_without_gpu(trt):
        raise ValueError(
            "TensorRT for RTX builds without a GPU, and weights are exchanged on one alone; set `refit: false` in the "
            "target's `tensorrt`"
        )
    if not hasattr(trt.BuilderFlag, "REFIT"):
        raise ValueError(
            f"TensorRT {trt.__version__} cannot build engines that take new weights; set `tensorrt.refit: false`"
        )
    config.set_flag(trt.BuilderFlag.REFIT)


def _set_tactic_sources(trt: ModuleType, config: Any, names: list[str] | None) -> None:
    if names is None:
        return
    sources = trt.TacticSource.__members__
    unknown = [name for name in names if name not in sources]
    if unknown:
        raise ValueError(
            f"`tensorrt.tactic_sources` has {', '.join(unknown)}, but TensorRT {trt.__version__} knows only "
            f"{', '.join(sources)}"
        )
    config.set_tactic_sources(sum(1 << int(sources[name]) for name in names))
