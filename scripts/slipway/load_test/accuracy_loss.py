"""Compute the accuracy that an engine loses against PyTorch, as one figure, from its accuracy record.

The accuracy record is the JSON that check_accuracy.py writes about an engine.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from slipway.core.artifacts import read_json

# {kind of the figure: its name in words}
KINDS = {"top1_drop": "top-1 accuracy lost", "metric_loss": "metric lost", "relative_error": "relative error"}


def read_accuracy(paths: Iterable[Path]) -> dict[str, dict]:
    """Return {precision: accuracy record} from `paths`, the records of check_accuracy.py about a target's engines."""
    return {record["engine_key"]["precision"]: record for record in map(read_json, paths)}


def proven_rows(measurements: Iterable[Mapping[str, Any]], accuracy: Mapping[str, Mapping[str, Any]]) -> list[dict]:
    """Return the measurements of engines whose accuracy was checked, each with its accuracy loss as "accuracy_loss".

    `measurements` are those of analysis.json, the record of the load test. `accuracy` is from `read_accuracy`.
    Measurements of a precision that is not in `accuracy` are left out. The loss is the "loss" of `accuracy_loss`.
    """
    losses = {precision: accuracy_loss(record)["loss"] for precision, record in accuracy.items()}
    return [{**row, "accuracy_loss": losses[row["precision"]]} for row in measurements if row["precision"] in losses]


def accuracy_loss(record: Mapping[str, Any]) -> dict:
    """Return {"kind", "loss"}: the accuracy that an engine loses against PyTorch, from the record of check_accuracy.py.

    The kind is the first of these three for which the record has figures. "top1_drop": PyTorch's top-1 accuracy (0..1)
    minus the engine's top-1 accuracy. "metric_loss": the largest relative loss of a value of the user's metric against
    PyTorch's value. If the value has a limit "min", a lower value is a loss; if it has a limit "max", a higher value is
    a loss. "relative_error": the error of the answers to the evaluation data or, without such data, to the reference
    sample. A gain counts as 0. Without any of these figures, "kind" and "loss" are None.
    """
    figures, metric = record["evaluation"] or {}, record["metric"]
    if figures.get("labelled"):
        drop = figures["pytorch"]["top1"] - figures["engine"]["top1"]
        return {"kind": "top1_drop", "loss": round(max(0.0, drop), 9)}
    limits = record["key"].get("metric_limits") or {}
    if metric and (losses := _metric_losses(metric, limits)):
        return {"kind": "metric_loss", "loss": round(max(0.0, *losses), 9)}
    for compared in (figures, record["sample"]):
        if "relative_error" in compared:
            return {"kind": "relative_error", "loss": compared["relative_error"]}
    return {"kind": None, "loss": None}


def _metric_losses(metric: Mapping[str, Any], limits: Mapping[str, Mapping[str, float]]) -> list[float]:
    """Return the losses of the metric's values that have one limit, relative to PyTorch's value. A gain is negative.

    `metric` is {"engine": {name: value}, "pytorch": {name: value}}, `limits` is {name: {"min" or "max": limit}}.
    """
    losses = []
    for name, ends in limits.items():
        own, reference = metric["engine"][name], metric["pytorch"][name]
        if len(ends) == 1 and reference:
            worse = reference - own if "min" in ends else own - reference
            losses.append(worse / abs(reference))
    return losses
