"""Notices about shares that look like percentages, such as 10 for 10 %, and about percentages that look like shares."""

from collections.abc import Iterator

# A pod with ten times the memory of the load test was rarely meant.
_LARGE_FACTOR = 10


def share_notices(config: dict) -> Iterator[str]:
    """Yield a sentence for each setting that may be written in the wrong unit, such as a share of 10 for 10 %.

    `config` is config.yaml with the defaults. The sentences are about shares of 1 or more, a percentage below 1, and a
    factor of memory of 10 or more.
    """
    for key, share in _shares(config):
        if share is not None and share >= 1:
            yield f"`{key}` is {share:g}, which allows {share * 100:,.0f} %; {share:g} % is written {share / 100:g}"
    stability = config["load_test"]["stability_percent"]
    if stability < 1:
        meant = f"{100 * stability:g}"
        yield f"`load_test.stability_percent` is {stability:g}, which is {stability:g} %; {meant} % is written {meant}"
    for name in ("memory_margin", "gpu_memory_margin"):
        factor = config["deploy"]["cluster"][name]
        if factor >= _LARGE_FACTOR:
            yield (
                f"`deploy.cluster.{name}` is {factor:g}, which is {factor:g} times what the load test took; "
                f"{factor:g} % more is written {1 + factor / 100:g}"
            )


def _shares(config: dict) -> Iterator[tuple[str, float | None]]:
    """Yield (dotted key, value) of each setting that limits an error, loss or slowdown to a share; None if not set."""
    yield from ((f"regression.{name}", share) for name, share in config["regression"].items() if name != "accept")
    yield "load_test.max_accuracy_loss", config["load_test"]["max_accuracy_loss"]
    for owner, section in {"": config, **{f"targets.{name}.": one for name, one in config["targets"].items()}}.items():
        yield f"{owner}tensorrt.max_slowdown", section["tensorrt"].get("max_slowdown")
    for owner, section in {"": config, **{f"models.{name}.": one for name, one in config["models"].items()}}.items():
        for precision, limits in section["accuracy"].get("limits", {}).items():
            for name in ("max_relative_error", "max_top1_drop"):
                yield f"{owner}accuracy.limits.{precision}.{name}", limits.get(name)
