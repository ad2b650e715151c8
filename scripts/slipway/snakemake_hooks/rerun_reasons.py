"""Why a job is stale, in words: what it was made from before, and what that is now."""

import ast
import json
from collections.abc import Iterable
from pathlib import Path

# What the reader calls a setting whose name says less.
_NAMES = {
    "runtime_version": "{runtime}",
    "tensorrt_rtx": "TensorRT for RTX",
    "tensorrt": "TensorRT",
    "openvino": "OpenVINO",
    "onnxruntime": "ONNX Runtime",
    "torch_version": "PyTorch",
    "torchvision_version": "torchvision",
    "onnxscript_version": "onnxscript",
    "onnxslim_version": "onnxslim",
    "modelopt_version": "ModelOpt",
    "tensorrt_rtx_version": "TensorRT for RTX",
    "pytriton_version": "nvidia-pytriton (Triton)",
    "tritonclient_version": "tritonclient (perf_analyzer)",
    "model_analyzer_version": "Model Analyzer",
    "triton_release": "Triton release",
    "cuda": "CUDA",
    "checkpoint_sha256": "weights",
    "labels_from_sha256": "class names",
    "image_sha256": "sample photograph",
    "meaning": "what the outputs mean",
    "images_sha256": "calibration photographs",
    "labelled_sha256": "labelled photographs",
    "signed_by": "signing key",
    "publication": "what was published is gone or damaged: publication",
    "start": "the server has ended or does not answer: start",
}


def of_settings(before: Iterable[str], now: Iterable[str]) -> list[str]:
    """Return in words how a job's params changed, each given as its representation.

    The settings that a job is keyed on are the representation of a dict; other params are quoted as they are.
    """
    before, now = set(before), set(now)
    gone, new = before - now, now - before
    olds, news = _literals(gone, dict), _literals(new, dict)
    if len(olds) == len(news) == 1:
        return _changes(olds[0], news[0])
    lists = _literals(gone, list), _literals(new, list)
    told = _exchanged(*lists) if list(map(len, lists)) == [len(gone), len(new)] else []
    return told or [f"{', '.join(sorted(gone)) or 'nothing'} -> {', '.join(sorted(new)) or 'nothing'}"]


def of_content(name: str, before: str | None, now: str | None) -> str:
    """Return in words that a file has other content, by both SHA-256."""
    return f"{name} {short(before)} -> {short(now)}"


def of_rollback(receipts: Iterable[str]) -> list[str]:
    """Return in words what was rolled back since it was deployed, as those of the files that are receipts say."""
    words = []
    for path in map(Path, receipts):
        try:
            said = json.loads(path.read_text(encoding="utf-8")) if path.suffix == ".json" else {}
            words.append(f"{said['served_as']} was rolled back from version {said['rolled_back_from']}")
        except (OSError, ValueError, KeyError, TypeError):
            continue  # no receipt, or one that somebody edited
    return words


def short(value: object) -> str:
    """Return a value as a reason shows it: the beginning of a hash, and text without quotes."""
    if isinstance(value, str):
        value = value.removeprefix("sha256:")
        is_hash = len(value) >= 16 and all(letter in "0123456789abcdef" for letter in value)
        return f"{value[:8]}.." if is_hash else value
    return "none" if value is None else json.dumps(value)


def _literals(representations: Iterable[str], kind: type) -> list:
    found = []
    for text in representations:
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            continue
        if isinstance(value, kind):
            found.append(value)
    return found


def _exchanged(before: list[list], now: list[list]) -> list[str]:
    """Return in words what lists have no more, and what they have anew, such as the models that are served."""
    olds, news = ({str(item) for items in lists for item in items} for lists in (before, now))
    changes = {"left out": sorted(olds - news), "added": sorted(news - olds)}
    return [f"{', '.join(items)} {verb}" for verb, items in changes.items() if items]


def _changes(before: dict, now: dict) -> list[str]:
    changed = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    words = []
    for name in sorted(changed):
        old, new = _unpacked(before.get(name)), _unpacked(now.get(name))
        if name == "code":
            words += _edits(old or {}, new or {})
        elif isinstance(old, dict) and isinstance(new, dict):
            words += _changes(old, new)
        else:
            words.append(f"{_called(name, now)} {short(old)} -> {short(new)}")
    return words


def _unpacked(value: object) -> object:
    """Return what JSON in a setting holds; a builder's settings travel so."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _edits(before: dict, now: dict) -> list[str]:
    """Return in words which files of code changed."""
    verbs = {(True, True): "edited", (False, True): "added", (True, False): "removed"}
    changed = [name for name in sorted({**before, **now}) if before.get(name) != now.get(name)]
    return [f"{name} {verbs[name in before, name in now]}" for name in changed]


def _called(name: str, settings: dict) -> str:
    if name == "runtime_version":
        return _NAMES.get(settings.get("runtime", ""), "runtime")
    return _NAMES.get(name, name)
