"""A Grafana dashboard of one model: throughput, latency and its parts, utilisation, and the measured limits.

It shows the series that the rules record, so it uses the same expressions as the alerts. The lines across its graphs
are the thresholds of the alerts.
"""

import hashlib

from slipway.monitoring.rules import (
    FAILURE,
    FAILURES_ALERT,
    GPU_MEMORY_ALERT,
    QUANTILES,
    STAGES,
    SUCCESS,
    WINDOW,
    recorded,
    series,
)
from slipway.monitoring.slo import P99_MARGIN, ServiceLevel

# The schema version of these panels. Grafana itself converts them to newer ones.
SCHEMA_VERSION = 39
GRID_WIDTH = 24
SOURCE = {"type": "prometheus", "uid": "${source}"}


def dashboard(slo: ServiceLevel) -> dict:
    """Return the JSON model of the dashboard. Its user selects the Prometheus data source in Grafana."""
    graphs = [*_speed_graphs(slo), *_load_graphs(slo), *_machine_graphs(slo)]
    rows = [(5, [*_figures(slo), _deployed(slo)])]
    rows += [(8, graphs[start : start + 2]) for start in range(0, len(graphs), 2)]
    return {
        "uid": f"slipway-{hashlib.sha256(slo.model.encode()).hexdigest()[:16]}",
        "title": f"Slipway: {slo.model}",
        "tags": ["slipway", "triton", slo.origin],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,  # one crosshair through all graphs
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
        },
        "panels": _placed(rows),
    }


def expressions(model: dict) -> list[str]:
    """Return every PromQL expression of a dashboard."""
    return [target["expr"] for panel in model["panels"] for target in panel.get("targets", [])]


def _figures(slo: ServiceLevel) -> list[dict]:
    """Return the panels with one number each."""
    servers = f"count(count by (job, instance) ({series(SUCCESS, slo.scope)})) or vector(0)"
    return [
        _figure("Servers that have it", servers, "short", _steps({1: "green"}, lowest="red")),
        _figure("Requests a second", recorded("requests:rate5m", slo.scope), "reqps", _steps({})),
        _figure("Failing", recorded("failures:ratio5m", slo.scope), "percentunit", _steps({FAILURES_ALERT: "red"})),
        _figure("p99", recorded("request_ms:p99", slo.scope), "ms", _promised_p99(slo)),
    ]


def _deployed(slo: ServiceLevel) -> dict:
    """Return the panel with the deployed version and its measured limits."""
    lines = [
        f"p99 **{slo.p99_ms:g} ms** at **{slo.throughput_per_s:g}/s** with {slo.concurrency} in flight",
        f"{slo.instances} instance(s), batches up to {slo.max_batch_size}; limit {slo.p99_limit_ms:g} ms",
        *(f"{file} `{digest[:12]}`" for file, digest in sorted(slo.artifacts.items())),
    ]
    if slo.origin == "rehearsal":
        lines.insert(0, "**REHEARSAL**: random weights, its predictions mean nothing")
    text = "  \n".join(lines)
    return {"type": "text", "title": "Promised by the load test", "options": {"mode": "markdown", "content": text}}


def _speed_graphs(slo: ServiceLevel) -> list[dict]:
    """Return the graphs of throughput, of latency, and of the parts of latency."""
    p99 = f"Lines: {P99_MARGIN:.0%} above the measured p99, and its limit. Of several servers the slowest."
    stages = {"queue": "waiting", **{stage: stage.replace("_", ": ") for stage in STAGES}}
    return [
        _graph(
            ("Requests and images a second", "The line is the rate that the load test measured for one server."),
            {name: recorded(f"{name}:rate5m", slo.scope) for name in ("requests", "images")},
            "short",
            _steps({slo.throughput_per_s: "orange"}),
        ),
        _graph(
            ("Latency in the server, last 60 s", p99),
            {name: recorded(f"request_ms:{name}", slo.scope) for name in QUANTILES},
            "ms",
            _promised_p99(slo),
        ),
        _graph(
            ("Where a request's time goes", "Means; waiting that outgrows computing calls for more servers."),
            {legend: recorded(f"{stage}_ms:mean5m", slo.scope) for stage, legend in stages.items()},
            "ms",
            _steps({}),
            stacked=True,
        ),
    ]


def _load_graphs(slo: ServiceLevel) -> list[dict]:
    """Return the graphs of waiting requests, of failures, and of batch sizes."""
    return [
        _graph(
            ("Waiting requests", "The highest number on one server. The line is the alert's threshold."),
            {"waiting": recorded("pending_requests:max", slo.scope)},
            "short",
            _steps({slo.most_waiting: "orange"}),
        ),
        _graph(
            ("Failing requests", "By Triton's reasons. Triton does not count requests of a wrong shape or type."),
            {"{{reason}}": f"sum by (reason) (rate({series(FAILURE, slo.scope)}[{WINDOW}]))"},
            "reqps",
            _steps({}),
        ),
        _graph(
            ("Images in a batch", "Mean size of the dynamic batcher's batches."),
            {"images": recorded("batch_size:mean5m", slo.scope)},
            "short",
            _steps({slo.max_batch_size: "orange"}),
        ),
    ]


def _machine_graphs(slo: ServiceLevel) -> list[dict]:
    """Return the graphs of the machines or GPUs below the servers, with the use by every program."""
    here = f"and on (job, instance) {series(SUCCESS, slo.scope)}"
    cpu = _graph(
        ("Processors and memory of the machine", "Of the whole machine, every program on it counted."),
        {
            "processors {{instance}}": f"nv_cpu_utilization {here}",
            "memory {{instance}}": f"nv_cpu_memory_used_bytes / nv_cpu_memory_total_bytes {here}",
        },
        "percentunit",
        _steps({}),
    )
    gpu = _graph(
        ("GPU", "Of the whole GPU, every program on it counted."),
        {
            "utilization {{gpu_uuid}}": recorded("gpu_utilization:mean5m", slo.scope),
            "memory {{gpu_uuid}}": recorded("gpu_memory:ratio", slo.scope),
        },
        "percentunit",
        _steps({GPU_MEMORY_ALERT: "orange"}),
    )
    return [cpu, gpu] if slo.on_gpu else [cpu]


# Grafana's parts


def _figure(title: str, expr: str, unit: str, thresholds: dict) -> dict:
    return {
        "type": "stat",
        "title": title,
        "datasource": SOURCE,
        "targets": _targets({title: expr}),
        "fieldConfig": {"defaults": {"unit": unit, "thresholds": thresholds}, "overrides": []},
    }


def _graph(words: tuple[str, str], lines: dict[str, str], unit: str, thresholds: dict, stacked: bool = False) -> dict:
    """Return a graph over time. `words` are its title and description, `lines` is {legend: expression}."""
    title, description = words
    drawing = {"stacking": {"mode": "normal"}, "fillOpacity": 30} if stacked else {"fillOpacity": 0}
    shown = {"thresholdsStyle": {"mode": "dashed" if len(thresholds["steps"]) > 1 else "off"}}
    defaults = {"unit": unit, "min": 0, "thresholds": thresholds, "custom": {**drawing, **shown}}
    return {
        "type": "timeseries",
        "title": title,
        "description": description,
        "datasource": SOURCE,
        "targets": _targets(lines),
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
    }


def _targets(lines: dict[str, str]) -> list[dict]:
    return [
        {"refId": chr(ord("A") + index), "datasource": SOURCE, "expr": expr, "legendFormat": legend}
        for index, (legend, expr) in enumerate(lines.items())
    ]


def _steps(colours: dict[float, str], lowest: str = "green") -> dict:
    """Return thresholds: `lowest` is the colour below all of them; `colours` has the colour from each value on."""
    steps = [{"value": value, "color": colour} for value, colour in sorted(colours.items())]
    return {"mode": "absolute", "steps": [{"value": None, "color": lowest}, *steps]}


def _promised_p99(slo: ServiceLevel) -> dict:
    """Return the p99 thresholds: warning and critical, without the warning if the critical one is lower."""
    return _steps(
        {
            **({slo.p99_alert_ms: "orange"} if slo.p99_alert_ms < slo.p99_limit_ms else {}),
            slo.p99_limit_ms: "red",
        }
    )


def _placed(rows: list[tuple[int, list[dict]]]) -> list[dict]:
    """Return the panels of rows, each (height, panels), with ids and positions; a row's last panel fills the rest."""
    placed, top = [], 0
    for height, panels in rows:
        width = GRID_WIDTH // len(panels)
        for column, panel in enumerate(panels):
            x = column * width
            w = GRID_WIDTH - x if panel is panels[-1] else width
            placed.append({"id": len(placed) + 1, "gridPos": {"x": x, "y": top, "w": w, "h": height}, **panel})
        top += height
    return placed
