"""Objects of the Prometheus Operator: the pods to scrape, and the rules for alerts."""

from dataclasses import replace

from slipway.manifests.names import annotations, metadata_of_model, selector_of_model
from slipway.monitoring.rules import rule_file
from slipway.monitoring.slo import ServiceLevel

API = "monitoring.coreos.com/v1"


def objects(fleet: list[dict], slo: ServiceLevel) -> list[dict]:
    """Return the operator's objects of a model: its PodMonitor and its PrometheusRule."""
    return [pod_monitor(fleet[0]), prometheus_rule(fleet, slo)]


def pod_monitor(d: dict) -> dict:
    """Return the PodMonitor that has every pod of a model scraped."""
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


def prometheus_rule(fleet: list[dict], slo: ServiceLevel) -> dict:
    """Return the recording and alerting rules of a model in its namespace.

    The limits come from measurements on every target, so the rule names the repositories of all targets.
    """
    metadata = _metadata(fleet[0])
    served = ", ".join(annotations(d)["slipway/repository-index"] for d in fleet)
    metadata["annotations"] = metadata["annotations"] | {"slipway/repository-index": served}
    rules = rule_file(replace(slo, namespace=fleet[0]["namespace"]))
    return {"apiVersion": API, "kind": "PrometheusRule", "metadata": metadata, "spec": rules}


def _metadata(d: dict) -> dict:
    """Return the metadata with the labels that the operator's Prometheus selects."""
    metadata = metadata_of_model(d)
    return {**metadata, "labels": d["prometheus_operator_labels"] | metadata["labels"]}
