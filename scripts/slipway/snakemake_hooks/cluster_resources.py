"""The resources of jobs on a cluster: check that targets declare enough, and request resources.

A target is a kind of GPU or CPU that config.yaml names.
"""

from pathlib import Path
from typing import Any

from slipway.core.errors import SlipwayError
from slipway.keys.resolved_config import ResolvedConfig


def require_declared(config: dict) -> None:
    """Raise SlipwayError if a target leaves its runtime, hardware or TensorRT to be detected on this machine.

    On a cluster, jobs run on another machine. `config` is config.yaml with the defaults.
    """
    for target, chosen in config["targets"].items():
        missing = [f"`{name}`" for name in ("runtime", "hardware") if chosen[name] == "auto"]
        if missing := missing + _undeclared(chosen, {**config["tensorrt"], **chosen["tensorrt"]}):
            raise SlipwayError(
                f"config: the target {target} leaves {' and '.join(missing)} to be detected, but its jobs run on "
                "another machine than this one; declare it, as `snakemake --cores 1 status` prints it on such a node. "
                "Nothing was submitted"
            )


def require_image(config: dict) -> None:
    """Raise SlipwayError unless config.yaml names the container image in which jobs run, and declares its TensorRT.

    The image must exist, if it is a file. `config` is config.yaml with the defaults.
    """
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
    """Return the names of the `tensorrt` settings that a TensorRT target still must declare; [] for another runtime.

    `target` is the target's entry in config.yaml. `tensorrt` has its `tensorrt` settings together with the common ones.
    """
    names = ("version", "cuda") if target["runtime"] == "tensorrt" else ()
    return [f"`tensorrt.{name}`" for name in names if tensorrt[name] is None]


def on_target(resolved: ResolvedConfig) -> dict:
    """Return {resource: value, or function of the wildcards} for the rules whose jobs run on a target.

    The resources are "seat", of which the result always has 1, and those of `_requested`. If no target requests a
    resource, the result leaves it out. So without a declared partition, the partition in Snakemake's profile remains.
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
    """Return the resources that a target requests for its jobs. A value is None if the target does not request it.

    The result is {"gpu", "gpu_model", "gpu_manufacturer", "machine_type", "slurm_partition"}.
    """
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
