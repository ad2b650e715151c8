"""Explain in words why a job is stale, from its previous and its present settings and inputs."""

import ast
import contextlib
import json
from collections.abc import Iterable
from typing import Any

from slipway.classification import task
from slipway.core.records import read_record
from slipway.runtimes import RUNTIMES

# {name of a setting without the ending `_version`: its name in sentences}
_NAMES = {
    **{name: traits.title for name, traits in RUNTIMES.items()},
    "torch": "PyTorch",
    "modelopt": "ModelOpt",
    "pytriton": "nvidia-pytriton (Triton)",
    "model_analyzer": "Model Analyzer",
    "triton_release": "Triton release",
    "serving_release": "Triton release",
    "serving_image": "image that serves",
    "default_release": "newest known Triton release",
    "cuda": "CUDA",
    "checkpoint_sha256": "weights",
    "data_digest": "weights beside the ONNX file",
    "fingerprint": "weights in storage",
    "address": "address of the weights",
    "meaning": "what the outputs mean",
    "signed_by": "signing key",
    "publication": "what was published is gone or damaged: publication",
    "server_generation": "the server has ended or does not answer: start",
    **task.SETTINGS,
}


def of_settings(before: Iterable[str], now: Iterable[str]) -> list[str]:
    """Return phrases that say how a job's params changed since the last run, such as "PyTorch 2.8.0 -> 2.9.1".

    `before` and `now` have the repr() of each param, as Snakemake stores it. The repr() of a dict has the settings of a
    job's key. Two such dicts, or lists, are compared item by item. Other params are quoted unchanged.
    """
    before, now = set(before), set(now)
    gone, new = before - now, now - before
    olds, news = _literals(gone, dict), _literals(new, dict)
    if len(olds) == len(news) == 1:
        return _changes(olds[0], news[0]) or ["the same settings, in another order or notation"]
    lists = _literals(gone, list), _literals(new, list)
    exchanged = _exchanged(*lists) if list(map(len, lists)) == [len(gone), len(new)] else []
    return exchanged or [f"{', '.join(sorted(gone)) or 'nothing'} -> {', '.join(sorted(new)) or 'nothing'}"]


def of_content(name: str, before: str | None, now: str | None) -> str:
    """Return a phrase about the file `name` whose content changed, with its SHA-256 `before` and `now`.

    An unknown SHA-256 (None) is shown as "none".
    """
    return f"{name} {short(before)} -> {short(now)}"


def of_rollback(receipts: Iterable[str]) -> list[str]:
    """Return a sentence for each receipt that states that its model was rolled back after the deployment.

    `receipts` are the paths of changed outputs. A receipt is the record that a deployment writes, and a rollback
    rewrites it. Other files are ignored.
    """
    shape = {"served_as": str, "rolled_back_from": (str, int)}
    read = (read_record(path, shape) for path in receipts if path.endswith(".json"))
    return [f"{one['served_as']} was rolled back from version {one['rolled_back_from']}" for one in read if one]


def short(value: object) -> str:
    """Return a value of a setting as short text: the first 8 digits of a hash, or other text without quotes.

    None becomes "none", and other values become JSON.
    """
    if isinstance(value, str):
        value = value.removeprefix("sha256:")
        is_hash = len(value) >= 16 and all(letter in "0123456789abcdef" for letter in value)
        return f"{value[:8]}.." if is_hash else value
    return "none" if value is None else json.dumps(value)


def _literals(representations: Iterable[str], kind: type) -> list:
    values = []
    for text in representations:
        with contextlib.suppress(ValueError, SyntaxError):
            values.append(ast.literal_eval(text))
    return [value for value in values if isinstance(value, kind)]


def _exchanged(before: list[list], now: list[list]) -> list[str]:
    """Return phrases that name the items that only one side has, such as "resnet50 added".

    `before` and `now` are the lists among a job's params in the last and in this run.
    """
    olds, news = ({str(item) for items in lists for item in items} for lists in (before, now))
    changes = {"left out": sorted(olds - news), "added": sorted(news - olds)}
    return [f"{', '.join(items)} {verb}" for verb, items in changes.items() if items]


def _changes(before: dict, now: dict) -> list[str]:
    words = []
    for name in _differing(before, now):
        old, new = _unpacked(before.get(name)), _unpacked(now.get(name))
        if name == "code":
            verbs = {(True, True): "edited", (False, True): "added", (True, False): "removed"}
            old, new = old or {}, new or {}
            words += [f"{file} {verbs[file in old, file in new]}" for file in _differing(old, new)]
        elif isinstance(old, dict) and isinstance(new, dict):
            words += _changes(old, new)
        elif old is new is None:
            words.append(f"{_NAMES.get(name, name)} {'added' if name in now else 'removed'}, without a value")
        else:
            setting = name.removesuffix("_version")
            setting = now.get("runtime", setting) if setting == "runtime" else setting
            words.append(f"{_NAMES.get(setting, setting)} {short(old)} -> {short(new)}")
    return words


def _unpacked(value: Any) -> Any:
    """Return the value of a setting. If the value is the JSON text of a mapping, return the mapping."""
    if isinstance(value, str) and value.startswith("{"):
        with contextlib.suppress(ValueError):
            return json.loads(value)
    return value


def _differing(before: dict, now: dict) -> list[str]:
    """Return the names whose values differ between two dicts {setting: value}.

    A name that only one of both has differs, too, even if its value is None.
    """
    names = sorted({**before, **now})
    return [name for name in names if (name in before, before.get(name)) != (name in now, now.get(name))]
