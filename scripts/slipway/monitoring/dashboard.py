"""A Grafana dashboard of one model: throughput, latency and its parts, utilisation, and the measured limits.

It shows the series that the rules record, so it uses the same expressions as the alerts. The lines across its graphs
are the thresholds of the alerts.
"""

import hashlib
from pathlib import Path

from slipway.monitoring.rules import filled_in
from slipway.monitoring.slo import ServiceLevel

TEMPLATE = Path(__file__).with_name("dashboard.yaml.j2")
GRID_WIDTH = 24
SOURCE = {"type": "prometheus", "uid": "${source}"}


def dashboard(slo: ServiceLevel) -> dict:
    """Return the JSON model of the dashboard. Its user selects the Prometheus data source in Grafana."""
    content = filled_in(TEMPLATE, slo)
    graphs = [_graph(**graph) for graph in content["graphs"]]
    promised = {"mode": "markdown", "content": "  \n".join(content["promised_by_the_load_test"])}
    text = {"type": "text", "title": "Promised by the load test", "options": promised}
    rows = [(5, [*(_figure(**figure) for figure in content["figures"]), text])]
    rows += [(8, graphs[start : start + 2]) for start in range(0, len(graphs), 2)]
    uid = f"slipway-{hashlib.sha256(slo.model.encode()).hexdigest()[:16]}"
    return {"uid": uid, **content["frame"], "panels": _placed(rows)}


def _figure(title: str, expr: str, unit: str, steps: dict | None = None, lowest: str = "green") -> dict:
    """Return a panel with one number. `steps` is {value: colour from it on}, `lowest` the colour below all steps."""
    return _panel("stat", title, {title: expr}, steps, lowest, unit=unit)


def _graph(
    title: str, description: str, lines: dict[str, str], unit: str, steps: dict | None = None, stacked: bool = False
) -> dict:
    """Return a graph over time. `lines` is {legend: expression}."""
    drawing = {"stacking": {"mode": "normal"}, "fillOpacity": 30} if stacked else {"fillOpacity": 0}
    custom = {**drawing, "thresholdsStyle": {"mode": "dashed" if steps else "off"}}
    options = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    panel = _panel("timeseries", title, lines, steps, unit=unit, min=0, custom=custom)
    return {**panel, "description": description, "options": options}


def _panel(
    kind: str, title: str, lines: dict[str, str], steps: dict | None, lowest: str = "green", **defaults: object
) -> dict:
    colours = [{"value": value, "color": colour} for value, colour in sorted((steps or {}).items())]
    thresholds = {"mode": "absolute", "steps": [{"value": None, "color": lowest}, *colours]}
    return {
        "type": kind,
        "title": title,
        "datasource": SOURCE,
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": SOURCE, "expr": expr, "legendFormat": legend}
            for index, (legend, expr) in enumerate(lines.items())
        ],
        "fieldConfig": {"defaults": {**defaults, "thresholds": thresholds}, "overrides": []},
    }


def _placed(rows: list[tuple[int, list[dict]]]) -> list[dict]:
    """Return the panels of rows (height, panels) with ids and positions. The last panel fills the rest of its row."""
    placed: list[dict] = []
    top = 0
    for height, panels in rows:
        width = GRID_WIDTH // len(panels)
        for column, panel in enumerate(panels):
            x = column * width
            w = GRID_WIDTH - x if panel is panels[-1] else width
            placed.append({"id": len(placed) + 1, "gridPos": {"x": x, "y": top, "w": w, "h": height}, **panel})
        top += height
    return placed
