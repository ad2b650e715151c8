"""Fill in the report page from the measurements of a model."""

import base64
from pathlib import Path

import jinja2

from slipway.benchmark.comparison import PYTORCH, best_quantity, highest_throughput
from slipway.classification import reporting
from slipway.load_test.limits import counted_memory_mb, holds
from slipway.report.charts import benchmark_chart
from slipway.report.formats import agreement, largest_error, layers, megabytes, milliseconds, percent
from slipway.report.measurements import Measurements
from slipway.report.verdicts import answers

PAGE, TABLES = "page.html.j2", "tables.html.j2"


def render(evidence: Measurements) -> str:
    """Return the page as self-contained HTML. Text from records is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([Path(__file__).parent, reporting.FOLDER]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    for function in (agreement, largest_error, layers, megabytes, milliseconds, percent):
        environment.filters[function.__name__] = function
    return environment.get_template(PAGE).render(
        evidence=evidence,
        tables=TABLES,
        part_of_task=reporting.TEMPLATE,
        answers={target.name: answers(target, evidence) for target in evidence.targets},
        charts={target.name: benchmark_chart(target, evidence) for target in evidence.targets},
        plots={target.name: base64.b64encode(target.chart.read_bytes()).decode() for target in evidence.targets},
        PYTORCH=PYTORCH,
        best_quantity=best_quantity,
        highest_throughput=highest_throughput,
        counted_memory_mb=counted_memory_mb,
        holds=holds,
    )
