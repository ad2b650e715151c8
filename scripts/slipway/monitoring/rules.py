"""The Prometheus rules of one model: its recorded series, named slipway:..., and its alerts.

They need the metrics of a Triton that was started with METRICS_FLAGS. They need no particular job or label, but in a
cluster the namespace, because another namespace may serve a model of the same name. A server belongs to a model while
its metrics have the model's counters.

Latency quantiles come from Triton's summaries over the last 60 seconds: Triton has no histograms for models with one
response per request. Quantiles cannot be averaged, so the slowest of several servers counts. They exclude the network
to the client, which the measured p99 includes. So an alert on them comes a little late, but never without reason.
"""

from slipway.monitoring.slo import P99_MARGIN, ServiceLevel

# The window of rates and means, several times the usual scrape interval.
WINDOW = "5m"
# How long a server that is gone, or has unloaded the model, still counts as missing.
REMEMBERED = "1d"
FAILURES_ALERT = 0.01
GPU_MEMORY_ALERT = 0.95
# The factor over the measured ratio of queue time to compute time that raises an alert. A ratio below 1 never does.
QUEUE_FACTOR = 2
QUANTILES = {"p50": "0.5", "p90": "0.9", "p99": "0.99"}
STAGES = ("compute_input", "compute_infer", "compute_output")
# The value of the expression in an annotation, which is a Go template.
VALUE_MS, VALUE_SHARE = '{{ printf "%.1f" $value }} ms', "{{ $value | humanizePercentage }}"
SUCCESS, FAILURE = "nv_inference_request_success", "nv_inference_request_failure"
SUMMARY = "nv_inference_request_summary_us"


def rule_file(slo: ServiceLevel) -> dict:
    """Return the content of a Prometheus rule file, which is also the `spec` of a Kubernetes PrometheusRule.

    It is one group, so the series are recorded before the alerts that use them.
    """
    return {"groups": [{"name": f"slipway-{slo.model}", "rules": [*recording(slo), *alerting(slo)]}]}


def series(metric: str, scope: dict[str, str], **labels: str) -> str:
    """Return the expression of a model's metric, selected by the labels of `scope`; quantiles are labels too."""
    wanted = ", ".join(f'{name}="{value}"' for name, value in (scope | labels).items())
    return f"{metric}{{{wanted}}}"


def recorded(name: str, scope: dict[str, str]) -> str:
    """Return the expression of a recorded series of a model, such as "request_ms:p99"."""
    return series(f"slipway:{name}", scope)


def recording(slo: ServiceLevel) -> list[dict]:
    """Return the recording rules. Times are in ms, ratios and shares are 0 to 1, rates are per second."""
    expressions = {**_traffic(slo.scope), **_latency(slo.scope), **_waiting(slo.scope)}
    rules = [{"record": f"slipway:{name}", "expr": expression} for name, expression in expressions.items()]
    if slo.on_gpu:
        rules += [
            {"record": f"slipway:{name}", "expr": expression, "labels": slo.scope}
            for name, expression in _gpu(slo.scope).items()
        ]
    return rules


def alerting(slo: ServiceLevel) -> list[dict]:
    """Return the alerts on availability, correctness, latency, memory and missing requests."""
    return [
        *_absence_alerts(slo),
        _failure_alert(slo),
        *_slowness_alerts(slo),
        *_queue_alerts(slo),
        *([_gpu_memory_alert(slo)] if slo.on_gpu else []),
        _idleness_alert(slo),
    ]


# Recorded series


def _traffic(scope: dict[str, str]) -> dict[str, str]:
    requests, images = recorded("requests:rate5m", scope), recorded("images:rate5m", scope)
    failures = _rate(FAILURE, scope)
    return {
        "requests:rate5m": _rate(SUCCESS, scope),
        "images:rate5m": _rate("nv_inference_count", scope),
        "batch_size:mean5m": f"{images} / {_rate('nv_inference_exec_count', scope)}",
        "failures:ratio5m": f"{failures} / ({requests} + {failures})",
    }


def _latency(scope: dict[str, str]) -> dict[str, str]:
    quantiles = {
        f"request_ms:{name}": f"max {_by(scope)} ({series(SUMMARY, scope, quantile=value)}) / 1000"
        for name, value in QUANTILES.items()
    }
    requests = recorded("requests:rate5m", scope)
    means = {
        f"{stage}_ms:mean5m": f"{_rate(f'nv_inference_{stage}_duration_us', scope)} / {requests} / 1000"
        for stage in ("request", "queue", *STAGES)
    }
    return quantiles | means


def _waiting(scope: dict[str, str]) -> dict[str, str]:
    # Inference time alone, as in the load test's ratio with which the alert compares it.
    queue, compute = (recorded(f"{stage}_ms:mean5m", scope) for stage in ("queue", "compute_infer"))
    return {
        "queue_to_compute:ratio5m": f"{queue} / {compute}",
        "pending_requests:max": f"max {_by(scope)} ({series('nv_inference_pending_request_count', scope)})",
    }


def _rate(metric: str, scope: dict[str, str]) -> str:
    return f"sum {_by(scope)} (rate({series(metric, scope)}[{WINDOW}]))"


def _by(scope: dict[str, str]) -> str:
    return f"by ({', '.join(scope)})"


def _gpu(scope: dict[str, str]) -> dict[str, str]:
    """Return the series of the GPUs below the model's servers, with the use by every program."""
    here = f"and on (job, instance) {series(SUCCESS, scope)}"
    return {
        "gpu_utilization:mean5m": f"avg_over_time(nv_gpu_utilization[{WINDOW}]) {here}",
        "gpu_memory:ratio": f"nv_gpu_memory_used_bytes / nv_gpu_memory_total_bytes {here}",
    }


# Alerts


def _absence_alerts(slo: ServiceLevel) -> list[dict]:
    model, served = slo.model, series(SUCCESS, slo.scope)
    had_it = f"on (job, instance) last_over_time({served}[{REMEMBERED}])"
    return [
        _alert(
            slo,
            "SlipwayServerDown",
            ("critical", "1m"),
            f"up == 0 and {had_it}",
            f"The Triton server of {model} at {{{{ $labels.instance }}}} does not answer",
            "Prometheus cannot read its metrics. See whether the process or pod runs and how its log ends; "
            "`snakemake --cores 1 deploy` starts a local server again without building anything.",
        ),
        _alert(
            slo,
            "SlipwayModelUnloaded",
            ("warning", "5m"),
            f"(up == 1 and {had_it}) unless on (job, instance) {served}",
            f"The Triton server at {{{{ $labels.instance }}}} runs, but no longer has {model}",
            f"It had the model within {REMEMBERED}. Its log says why the model was unloaded or did not load again; "
            "deploy again, or stop scraping this server if that was meant.",
        ),
        _alert(
            slo,
            "SlipwayModelAbsent",
            ("critical", "2m"),
            f"absent({served})",
            f"No server that Prometheus scrapes has {model}",
            "Nobody is served. See whether a server runs, whether its log says that the model failed to load, and "
            "whether Prometheus scrapes its metrics port.",
        ),
    ]


def _failure_alert(slo: ServiceLevel) -> dict:
    # A single failure is visible for no longer than WINDOW, so it never raises this alert.
    return _alert(
        slo,
        "SlipwayFailures",
        ("critical", WINDOW),
        f"{recorded('failures:ratio5m', slo.scope)} > {FAILURES_ALERT}",
        f"{VALUE_SHARE} of the requests to {slo.model} fail",
        f"More than {FAILURES_ALERT:.0%} failed for {WINDOW}. The label `reason` of {FAILURE} says of which kind, the "
        "server's log why. Requests of a wrong shape or type are refused earlier and not counted here.",
    )


def _slowness_alerts(slo: ServiceLevel) -> list[dict]:
    p99 = recorded("request_ms:p99", slo.scope)
    model, measured = slo.model, f"{slo.p99_ms:g} ms at {slo.throughput_per_s:g} requests/s"
    return [
        _alert(
            slo,
            "SlipwayP99AbovePromise",
            ("warning", WINDOW),
            f"{p99} > {slo.p99_alert_ms:g}",
            f"{model} answers with p99 {VALUE_MS}; the load test promised {slo.p99_ms:g} ms",
            f"More than {P99_MARGIN:.0%} above the load test's p99, {measured} with {slo.concurrency} in flight. "
            "Compare slipway:requests:rate5m with that rate (more load: add servers), then the time that requests wait "
            "with the time that they compute (slower: another program on the machine, or lowered clocks).",
        ),
        _alert(
            slo,
            "SlipwayP99AboveLimit",
            ("critical", WINDOW),
            f"{p99} > {slo.p99_limit_ms:g}",
            f"{model} answers with p99 {VALUE_MS}; its limit is {slo.p99_limit_ms:g} ms",
            f"It was chosen because it held load_test.p99_limit_ms: p99 {measured}. Take load from it or add servers "
            "now; `snakemake --cores 1 evidence` measures again what it can hold.",
        ),
    ]


def _queue_alerts(slo: ServiceLevel) -> list[dict]:
    limit = max(1.0, round(QUEUE_FACTOR * slo.queue_to_compute, 2))
    return [
        _alert(
            slo,
            "SlipwayQueueGrowing",
            ("warning", WINDOW),
            f"{recorded('pending_requests:max', slo.scope)} > {slo.most_waiting}",
            f"{{{{ $value }}}} requests wait for {slo.model} on one server",
            f"For {WINDOW} more than {slo.most_waiting} have waited: more than its instances take at once, and "
            "than the load test had in flight. More is asked than it can answer "
            f"({slo.throughput_per_s:g} requests/s were measured): add servers, or let clients send less.",
        ),
        _alert(
            slo,
            "SlipwayQueueDominates",
            ("warning", "10m"),
            f"{recorded('queue_to_compute:ratio5m', slo.scope)} > {limit:g}",
            f'Requests to {slo.model} wait {{{{ printf "%.1f" $value }}}} times as long as they are computed',
            f"The load test measured {slo.queue_to_compute:.2g} times. Clients wait for a free instance: add "
            "servers or instances, or let clients send less.",
        ),
    ]


def _gpu_memory_alert(slo: ServiceLevel) -> dict:
    return _alert(
        slo,
        "SlipwayGpuMemoryNearlyFull",
        ("warning", "10m"),
        f"{recorded('gpu_memory:ratio', slo.scope)} > {GPU_MEMORY_ALERT}",
        f"{VALUE_SHARE} of the memory of a GPU that serves {slo.model} is in use",
        "GPU {{ $labels.gpu_uuid }} of {{ $labels.instance }}. See with nvidia-smi which programs hold it; a server "
        "that is started anew, or a larger batch, may find none left.",
    )


def _idleness_alert(slo: ServiceLevel) -> dict:
    requests, by = series(SUCCESS, slo.scope), _by(slo.scope)
    return _alert(
        slo,
        "SlipwayNothingServed",
        ("info", WINDOW),
        f"sum {by} (increase({requests}[1h])) == 0 and sum {by} (increase({requests}[1d])) > 0",
        f"{slo.model} has answered nothing for an hour",
        "It had answered requests within the last day. If clients should be asking, see whether they reach the server, "
        "and whether SlipwayFailures is raised too.",
    )


def _alert(slo: ServiceLevel, name: str, urgency: tuple[str, str], expr: str, summary: str, description: str) -> dict:
    """Return an alert. `urgency` is its severity and the time for which `expr` must hold. It names its sources."""
    severity, lasting = urgency
    hashes = ", ".join(f"{file} {digest}" for file, digest in sorted(slo.artifacts.items()))
    rehearsal = {"rehearsal": "random weights: its predictions mean nothing"} if slo.origin == "rehearsal" else {}
    return {
        "alert": name,
        "expr": expr,
        "for": lasting,
        "labels": {"severity": severity, **slo.scope},
        "annotations": {"summary": summary, "description": description, "sha256": hashes, **rehearsal},
    }
