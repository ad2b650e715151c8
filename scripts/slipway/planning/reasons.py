"""Why a job is stale, in words: what it was made from before, and what that is now."""

import ast
import json
from collections.abc import Iterable

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
    "images_sha256": "calibration photographs",
    "labelled_sha256": "labelled photographs",
    "signed_by": "signing key",
    "publication": "what was published is gone: publication",
    "start": "the server has ended: start",
}


def of_settings(before: Iterable[str], now: Iterable[str]) -> list[str]:
    """Return in words how a job's params changed, each given as its representation.

    The settings that a job is keyed on are the representation of a dict; other params are quoted as they are.
    """
    before, now = set(before), set(now)
    gone, new = before - now, now - before
    olds, news = _settings(gone), _settings(new)
    if len(olds) == len(news) == 1:
        return _changes(olds[0], news[0])
    return [f"{', '.join(sorted(gone)) or 'nothing'} -> {', '.join(sorted(new)) or 'nothing'}"]


def of_content(name: str, before: str | None, now: str | None) -> str:
    """Return in words that a file has other content, by both SHA-256."""
    return f"{name} {short(before)} -> {short(now)}"


def short(value: object) -> str:
    """Return a value as a reason shows it: the beginning of a hash, and text without quotes."""
    if isinstance(value, str):
        value = value.removeprefix("sha256:")
        is_hash = len(value) >= 16 and all(letter in "0123456789abcdef" for letter in value)
        return f"{value[:8]}.." if is_hash else value
    return "none" if value is None else json.dumps(value)


def _settings(representations: Iterable[str]) -> list[dict]:
    found = []
    for text in representations:
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            continue
        if isinstance(value, dict):
            found.append(value)
    return found


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
