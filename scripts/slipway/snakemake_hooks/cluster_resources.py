"""What jobs elsewhere than here take: targets that nothing has to be detected for, and what they ask a cluster for."""

import re
from collections.abc import Iterable
from pathlib import Path

from slipway.core.errors import SlipwayError

# What Slurm's daemons and the kernel say in a job's log when it took more memory than it had asked for.
_OUT_OF_MEMORY = re.compile(r"exceeded (?:job )?memory limit|oom[-_ ]kill|out of memory|OUT_OF_ME", re.IGNORECASE)
_END_OF_LOG = 100_000


def require_declared(config: dict) -> None:
    """Raise SlipwayError when a target leaves something to be detected, which is of the machine that has its jobs."""
    for target, chosen in config["targets"].items():
        tensorrt = {**config["tensorrt"], **chosen["tensorrt"]}
        missing = [name for name in ("runtime", "hardware") if chosen[name] == "auto"]
        if chosen["runtime"] == "tensorrt":
            missing += [f"tensorrt.{name}" for name in ("version", "cuda") if tensorrt[name] is None]
        if missing:
            raise SlipwayError(
                f"config: the target {target} leaves {' and '.join(f'`{name}`' for name in missing)} to be detected, "
                "but its jobs run on another machine than this one; declare it, as `snakemake --cores 1 status` prints "
                "it on such a node. Nothing was submitted"
            )


def require_image(config: dict) -> None:
    """Raise SlipwayError when jobs are to run in an image that nobody named, or whose TensorRT nobody declared."""
    if config["container"] is None:
        raise SlipwayError(
            "config: jobs are to run in an image (`--sdm apptainer`), but `container` names none; name it, such as "
            "docker://registry.example.com/slipway@sha256:..., or leave that option out"
        )
    for target, chosen in config["targets"].items():
        tensorrt = {**config["tensorrt"], **chosen["tensorrt"]}
        missing = [f"`tensorrt.{name}`" for name in ("version", "cuda") if tensorrt[name] is None]
        if chosen["runtime"] == "tensorrt" and tensorrt["python"] is None and missing:
            raise SlipwayError(
                f"config: the target {target} leaves {' and '.join(missing)} to be detected, but its jobs run in an "
                "image (`--sdm apptainer`), whose TensorRT cannot be seen from here; declare what the image has"
            )


def of_target(config: dict, target: str, key: str) -> str | None:
    """Return what a target declares for a cluster: gpu_model, partition or machine_type; None where it does not."""
    return config["targets"][target]["cluster"][key]


def memory_advice(names: Iterable[str], logs: Iterable[str], asked_mb: int | None) -> str | None:
    """Return in words that jobs ran out of memory and what to raise, if one of their logs says so; else None."""
    if not any(_OUT_OF_MEMORY.search(_end(Path(log))) for log in logs):
        return None
    rules = ", ".join(sorted(set(names)))
    had = f" of {asked_mb} MB" if asked_mb else ""
    return f"{rules} ran out of its memory{had}; raise `mem_mb` of it under `set-resources` in the profile"


def _end(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _END_OF_LOG))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
