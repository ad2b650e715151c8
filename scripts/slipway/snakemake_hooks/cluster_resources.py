"""The resources of jobs on a cluster: check that targets declare enough, and request resources."""

from pathlib import Path
from typing import Any

from slipway.core.errors import SlipwayError
from slipway.keys.resolved_config import ResolvedConfig


def require_declared(config: dict) -> None:
    """Raise SlipwayError if a target leaves values to be detected, since its jobs run on another machine."""
    for target, chosen in config["targets"].items():
        missing = [f"`{name}`" for name in ("runtime", "hardware") if chosen[name] == "auto"]
        if missing := missing + _undeclared(chosen, {**config["tensorrt"], **chosen["tensorrt"]}):
            raise SlipwayError(
                f"config: the target {target} leaves {' and '.join(missing)} to be detected, but its jobs run on "
                "another machine than this one; declare it, as `snakemake --cores 1 status` prints it on such a node. "
                "Nothing was submitted"
            )


def require_image(config: dict) -> None:
    """Raise SlipwayError if no container image is named for jobs, or its file or declared TensorRT is missing."""
    if config["container"] is None:
        raise SlipwayError(
            "config: jobs are to run in an image (`--sdm apptainer`), but `container` names none; name it, such as "
            "docker://registry.example.com/slipway@sha256:..., or leave that option out"
        )
    if "://" not in config["container"] and not Path(config["container"]).exists():
        raise SlipwayError(
            f"config: `container` is {config['container']!r}, which does not exist; name a file or folder of "
            f"Apptainer, or, for an image in a registry, write docker://{config['container']}"
        )
    for target, chosen in config["targets"].items():
        tensorrt = {**config["tensorrt"], **chosen["tensorrt"]}
        if tensorrt["python"] is None and (missing := _undeclared(chosen, tensorrt)):
            raise SlipwayError(
                f"config: the target {target} leaves {' and '.join(missing)} to be detected, but its jobs run in an "
                "image (`--sdm apptainer`), whose TensorRT cannot be seen from here; declare what the image has"
            )


def _undeclared(target: dict, tensorrt: dict) -> list[str]:
    """Return the names of the `tensorrt` settings that a TensorRT target still must declare; [] for another runtime."""
    names = ("version", "cuda") if target["runtime"] == "tensorrt" else ()
    return [f"`tensorrt.{name}`" for name in names if tensorrt[name] is None]


def on_target(resolved: ResolvedConfig) -> dict:
    """Return {resource: value, or function of the wildcards} for the rules whose jobs run on a target.

    The result leaves out resources that no target requests. So without a declared partition, the profile's partition
    remains.
    """
    by_target = {target: _requested(resolved, target) for target in resolved.targets}
    resources: dict[str, Any] = {"seat": 1}
    for name in _requested(resolved, resolved.targets[0]):
        values = [requested[name] for requested in by_target.values()]
        if len(set(values)) > 1:
            resources[name] = lambda wildcards, name=name: by_target[wildcards.target][name]
        elif values[0] is not None:  # Snakemake evaluates a value faster than a function
            resources[name] = values[0]
    return resources


def _requested(resolved: ResolvedConfig, target: str) -> dict[str, str | int | None]:
    """Return {resource: value} that a target requests for its jobs; the value is None if it requests none."""
    declared, on_gpu = resolved.config["targets"][target]["cluster"], resolved.traits(target).needs_gpu
    return {
        # None instead of 0, because a pod that requests 0 GPUs may still run on a GPU's node.
        "gpu": 1 if on_gpu else None,
        "gpu_model": declared["gpu_model"],
        # Snakemake's executor for Kubernetes needs the manufacturer.
        "gpu_manufacturer": "nvidia" if on_gpu else None,
        "machine_type": declared["machine_type"],
        "slurm_partition": declared["partition"],
    }
