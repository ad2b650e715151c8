"""Fill in the report page from the measurements of a model."""

import base64
from pathlib import Path

import jinja2

from slipway.benchmark import comparison
from slipway.classification import reporting
from slipway.load_test import limits
from slipway.report import formats
from slipway.report.charts import benchmark_chart
from slipway.report.measurements import Measurements
from slipway.report.verdicts import answers


def render(evidence: Measurements) -> str:
    """Return the page as self-contained HTML. Text from records is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([Path(__file__).parent, reporting.FOLDER]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {name: function for name, function in vars(formats).items() if callable(function)}
    return environment.get_template("page.html.j2").render(
        evidence=evidence,
        tables="tables.html.j2",
        part_of_task=reporting.TEMPLATE,
        answers={target.name: answers(target, evidence) for target in evidence.targets},
        charts={target.name: benchmark_chart(target, evidence) for target in evidence.targets},
        plots={target.name: base64.b64encode(target.chart.read_bytes()).decode() for target in evidence.targets},
        comparison=comparison,
        load_test=limits,
    )
