"""What tells the Prometheus Operator to scrape the pods of a model, and what to raise alerts on."""

from dataclasses import replace

from slipway.manifests.names import metadata_of_model, selector_of_model
from slipway.monitoring.promise import Promise
from slipway.monitoring.rules import rule_file

API = "monitoring.coreos.com/v1"


def objects(d: dict, promise: Promise) -> list[dict]:
    """Return the operator's objects of a model: who is scraped, and the rules about what is scraped of them."""
    return [pod_monitor(d), prometheus_rule(d, promise)]


def pod_monitor(d: dict) -> dict:
    """Return what has every pod of a model scraped."""
    return {
        "apiVersion": API,
        "kind": "PodMonitor",
        "metadata": _metadata(d),
        "spec": {
            "selector": {"matchLabels": selector_of_model(d)},
            "podMetricsEndpoints": [{"port": "metrics", "path": "/metrics", "interval": "15s"}],
            "podTargetLabels": ["app.kubernetes.io/instance"],
        },
    }


def prometheus_rule(d: dict, promise: Promise) -> dict:
    """Return what is recorded of a model in its namespace, and what raises an alert."""
    rules = rule_file(replace(promise, namespace=d["namespace"]))
    return {"apiVersion": API, "kind": "PrometheusRule", "metadata": _metadata(d), "spec": rules}


def _metadata(d: dict) -> dict:
    """Return the metadata with the labels that the operator's Prometheus looks for."""
    metadata = metadata_of_model(d)
    return {**metadata, "labels": d["prometheus_operator_labels"] | metadata["labels"]}
