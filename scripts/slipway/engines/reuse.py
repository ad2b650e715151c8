"""Compare the existing engine with the request: reuse, refit or rebuild.

`head` is the part of a build record that is known before the build: key, code, structure and topology.
"""

from pathlib import Path

from slipway.core.errors import SlipwayError
from slipway.engines.recorded_engine import RecordedEngine


def previous_engine(record: Path, files: list[Path]) -> RecordedEngine | None:
    """Return the engine of a build record if it is complete and its files are `files`, else None."""
    try:
        built = RecordedEngine.of_record(record)
    except (SlipwayError, KeyError):
        return None
    return built if built.files == files and "key" in built.record else None


def is_current(previous: RecordedEngine | None, head: dict) -> bool:
    """Return whether the existing engine has the same key and was built by the same code."""
    return previous is not None and all(previous.record.get(name) == head[name] for name in ("key", "code_sha256"))


def why_not_comparable(previous: RecordedEngine | None, head: dict, but_for_refit: bool = False) -> str | None:
    """Return the reason why the speeds of the existing and the new engine are not comparable; None if they are.

    With `but_for_refit`, a refittable engine is comparable with one that is not refittable.
    """
    if previous is None:
        return "no whole engine was there before"
    if _settings(previous.record["key"], but_for_refit) != _settings(head["key"], but_for_refit):
        return "the engine that was there was built with other settings, by another version or on other hardware"
    if not head["topology_sha256"] or previous.record.get("topology_sha256") != head["topology_sha256"]:
        return "the engine that was there is of another network"
    return None


def why_not_to_refit(previous: RecordedEngine | None, head: dict) -> str | None:
    """Return the reason why the existing engine cannot take the new weights; None if it can."""
    if reason := why_not_comparable(previous, head):
        return reason
    if previous.record.get("structure_sha256") != head["structure_sha256"]:
        return "more than weights changed in the ONNX file, such as the scales of INT8, which are built into an engine"
    if previous.record.get("code_sha256") != head["code_sha256"]:
        return "the code that builds engines changed"
    return previous.record.get("not_refittable_because", "its record does not say whether it takes new weights")


def first_build(previous: RecordedEngine | None, head: dict) -> dict | None:
    """Return strategy and seconds of the first build of this network, according to the existing engine's record.

    The `refit` setting may differ: it hardly changes the build time.
    """
    return None if why_not_comparable(previous, head, but_for_refit=True) else previous.record.get("first_build")


def _settings(key: dict, but_for_refit: bool) -> dict:
    settings = {name: value for name, value in key.items() if name != "onnx_sha256"}
    return {**settings, "builder": {**settings.get("builder", {}), "refit": None}} if but_for_refit else settings
