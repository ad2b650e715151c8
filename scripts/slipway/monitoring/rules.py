"""The Prometheus rules of one model: recorded series with names slipway:..., and alerts.

Series and alerts need the metrics of a Triton that was started with METRICS_FLAGS. In a cluster, the metrics also need
the label `namespace`, because another namespace may serve a model of the same name. A server belongs to a model while
the server's metrics have counters of the model.

Latency quantiles come from Triton's summaries over the last 60 seconds: Triton has no histograms for models with one
response per request. Quantiles cannot be averaged, so the slowest of several servers counts. Triton's quantiles exclude
the network to the client, but the measured p99 includes it. So the alert may come late, but it is never a false alarm.
"""

from pathlib import Path

from slipway.core.templates import data_of
from slipway.load_test.limits import configuration_in_words
from slipway.monitoring.slo import P99_MARGIN, ServiceLevel

TEMPLATE = Path(__file__).with_name("rules.yaml.j2")
FAILURES_ALERT = 0.01
GPU_MEMORY_ALERT = 0.95


def rule_file(slo: ServiceLevel) -> dict:
    """Return the content of a Prometheus rule file, which is also the `spec` of a Kubernetes PrometheusRule.

    The file has one group, so the series are recorded before the alerts that use them.
    """
    return {"groups": [{"name": f"slipway-{slo.model}", "rules": [*recording(slo), *alerting(slo)]}]}


def recording(slo: ServiceLevel) -> list[dict]:
    """Return Prometheus' recording rules for a model, which the alerts and the dashboard use.

    Each is {"record": name of the series, "expr": PromQL}, for the series of GPUs also "labels". Times are in ms,
    ratios and shares are 0 to 1, rates are per second.
    """
    rules = filled_in(TEMPLATE, slo)
    of_gpus = rules["recorded_of_gpus"] if slo.on_gpu else {}
    return [
        *({"record": f"slipway:{name}", "expr": expr} for name, expr in rules["recorded"].items()),
        *({"record": f"slipway:{name}", "expr": expr, "labels": slo.scope} for name, expr in of_gpus.items()),
    ]


def alerting(slo: ServiceLevel) -> list[dict]:
    """Return Prometheus' alerts on availability, correctness, latency, memory and missing requests.

    Each is {"alert", "expr", "for", "labels", "annotations"}. `slo` has the measured figures from which the thresholds
    come. The annotations have the SHA-256 of the files with these figures.
    """
    sources = {"sha256": ", ".join(f"{file} {digest}" for file, digest in sorted(slo.artifacts.items()))}
    if slo.origin == "rehearsal":
        sources["rehearsal"] = "random weights: its predictions mean nothing"
    return [
        {name: alert[name] for name in ("alert", "expr", "for")}
        | {"labels": {"severity": alert["severity"], **slo.scope}}
        | {"annotations": {"summary": alert["summary"], "description": alert["description"], **sources}}
        for alert in filled_in(TEMPLATE, slo)["alerts"]
    ]


def filled_in(template: Path, slo: ServiceLevel) -> dict:
    """Return the parsed content of rules.yaml.j2 or dashboard.yaml.j2, filled in for one model.

    The thresholds come from `slo`. The keys of the result are those of the template, such as "recorded" and "alerts".
    """
    by = ", ".join(slo.scope)

    def series(metric: str, **labels: str) -> str:
        wanted = ", ".join(f'{name}="{value}"' for name, value in (slo.scope | labels).items())
        return f"{metric}{{{wanted}}}"

    def recorded(name: str) -> str:
        return series(f"slipway:{name}")

    def rate(metric: str) -> str:
        return f"sum by ({by}) (rate({series(metric)}[5m]))"

    def rate_of_servers(metric: str) -> str:
        return f"sum by ({by}, job, instance) (rate({series(metric)}[5m]))"

    expressions = {"series": series, "recorded": recorded, "rate": rate, "rate_of_servers": rate_of_servers}
    limits = {"P99_MARGIN": P99_MARGIN, "FAILURES_ALERT": FAILURES_ALERT, "GPU_MEMORY_ALERT": GPU_MEMORY_ALERT}
    success, configuration = series("nv_inference_request_success"), configuration_in_words(vars(slo))
    return data_of(template, slo=slo, configuration=configuration, by=by, success=success, **expressions, **limits)
