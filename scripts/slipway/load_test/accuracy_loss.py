"""Compute the accuracy that an engine loses against the model itself, as one figure, from its accuracy record."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from slipway.core.artifacts import read_json

# {kind of the figure: its name in words}
KINDS = {"top1_drop": "top-1 accuracy lost", "metric_loss": "metric lost", "relative_error": "relative error"}


def read_accuracy(paths: Iterable[Path]) -> dict[str, dict]:
    """Return {precision: accuracy record} of the engines whose accuracy records are at `paths`."""
    return {record["engine_key"]["precision"]: record for record in map(read_json, paths)}


def proven_rows(measurements: Iterable[Mapping[str, Any]], accuracy: Mapping[str, Mapping[str, Any]]) -> list[dict]:
    """Return the measurements whose precision has an accuracy record.

    Each returned measurement has the key "accuracy_loss": the "loss" of `accuracy_loss` for its precision.
    """
    losses = {precision: accuracy_loss(record)["loss"] for precision, record in accuracy.items()}
    return [{**row, "accuracy_loss": losses[row["precision"]]} for row in measurements if row["precision"] in losses]


def accuracy_loss(record: Mapping[str, Any]) -> dict:
    """Return {"kind", "loss"} of an accuracy record: the first kind of KINDS for which the record has figures.

    "top1_drop": PyTorch's top-1 accuracy (0..1) minus the engine's top-1 accuracy. "metric_loss": the largest relative
    loss of a value of the user's metric against PyTorch's value. A limit "min" means that a lower value is a loss,
    "max" that a higher value is a loss. "relative_error": the error of the answers to the evaluation data or, without
    such data, to the reference sample. A gain counts as 0. Without any of these figures, "kind" and "loss" are None.
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
    """Return the relative losses against PyTorch of the metric's values that have one limit. A gain is negative."""
    losses = []
    for name, ends in limits.items():
        own, reference = metric["engine"][name], metric["pytorch"][name]
        if len(ends) == 1 and reference:
            worse = reference - own if "min" in ends else own - reference
            losses.append(worse / abs(reference))
    return losses
