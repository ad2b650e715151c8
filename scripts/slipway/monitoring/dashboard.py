"""A Grafana dashboard of one model: throughput, latency and its parts, utilisation, and the measured limits.

The dashboard shows the series that the rules record, so it uses the same expressions as the alerts. The horizontal
lines in the graphs are the thresholds of the alerts.
"""

import hashlib
from pathlib import Path
from typing import Any

from slipway.monitoring.rules import filled_in
from slipway.monitoring.slo import ServiceLevel

TEMPLATE = Path(__file__).with_name("dashboard.yaml.j2")
GRID_WIDTH = 24
SOURCE = {"type": "prometheus", "uid": "${source}"}


def dashboard(slo: ServiceLevel) -> dict:
    """Return Grafana's dashboard of one model as its JSON model, a dict, for import into Grafana.

    `slo` has the model's measured figures and limits, which are lines in the graphs. The user selects the Prometheus
    data source in Grafana.
    """
    content = filled_in(TEMPLATE, slo)
    figures = [_panel("stat", lines={figure["title"]: figure.pop("expr")}, **figure) for figure in content["figures"]]
    graphs = [_panel("timeseries", options=content["options_of_graphs"], **graph) for graph in content["graphs"]]
    promised = {"mode": "markdown", "content": "  \n".join(content["promised_by_the_load_test"])}
    text = {"type": "text", "title": "Promised by the load test", "options": promised}
    rows = [(5, [*figures, text]), *((8, graphs[start : start + 2]) for start in range(0, len(graphs), 2))]
    uid = f"slipway-{hashlib.sha256(slo.model.encode()).hexdigest()[:16]}"
    return {"uid": uid, **content["frame"], "panels": _placed(rows)}


def _panel(
    kind: str, lines: dict[str, str], unit: str, steps: dict | None = None, drawing: dict | None = None, **more: Any
) -> dict:
    """Return a panel of the dashboard as a dict: `kind` is Grafana's, such as "stat" or "timeseries".

    `lines` is {legend: PromQL expression}. `unit` is Grafana's name of a unit, such as "ms". `steps` is {threshold:
    colour from this threshold on}; the key None has the colour below all thresholds. `drawing` has Grafana's options
    for the lines. `more` has further entries of the panel, such as "title".
    """
    colours = sorted(({None: "green"} | (steps or {})).items(), key=lambda step: (step[0] is not None, step[0]))
    thresholds = {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in colours]}
    targets = [
        {"refId": chr(ord("A") + index), "datasource": SOURCE, "expr": expr, "legendFormat": legend}
        for index, (legend, expr) in enumerate(lines.items())
    ]
    field_config = {"defaults": {"unit": unit, **(drawing or {}), "thresholds": thresholds}, "overrides": []}
    return {"type": kind, **more, "datasource": SOURCE, "targets": targets, "fieldConfig": field_config}


def _placed(rows: list[tuple[int, list[dict]]]) -> list[dict]:
    """Return the panels of all rows as one list, each with an id and its position in Grafana's grid.

    `rows` are the rows from the top, each (height in grid units, its panels).

    The last panel of a row fills the rest of the row.
    """
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
