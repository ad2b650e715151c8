"""Write the report page with all measurements of a model: is it right, is it fast, how busy may it be, and why."""

import argparse
import base64
from pathlib import Path

import jinja2

from slipway.benchmark.comparison import PYTORCH, best_quantity, highest_throughput
from slipway.core.artifacts import write_text
from slipway.core.cli import parser, progress, run
from slipway.core.job_settings import add_planned
from slipway.load_test.limits import counted_memory_mb, holds
from slipway.report.charts import benchmark_chart
from slipway.report.formats import agreement, largest_error, layers, megabytes, milliseconds, percent
from slipway.report.measurements import Measurements, read_evidence
from slipway.report.verdicts import answers

TEMPLATE = Path(__file__).parent / "slipway" / "report" / "page.html.j2"


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(__doc__)
    arguments.add_argument("--folder", type=Path, required=True, help="results/<model>, which has the records")
    arguments.add_argument("--engines", nargs="+", required=True, help="engines to show, as TARGET/PRECISION")
    arguments.add_argument("--variants", nargs="+", required=True, help="ONNX variants to show, such as fp32 fp16")
    arguments.add_argument(
        "--labelled",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="whether the checkpoint was evaluated on labelled photographs (accuracy.json)",
    )
    arguments.add_argument("--template", type=Path, default=TEMPLATE, help="page to fill in")
    add_planned(arguments, "template_sha256")
    arguments.add_argument("--output", type=Path, required=True, help="page to write (.html)")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Read the records and write the page. The same records give the same bytes."""
    evidence = read_evidence(arguments.folder, arguments.engines, arguments.variants, arguments.labelled)
    write_text(arguments.output, render(evidence, arguments.template))
    progress(f"  {arguments.output}, of {len(arguments.engines)} engine(s)")


def render(evidence: Measurements, template: Path) -> str:
    """Return the page as self-contained HTML. Text from records is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    for function in (agreement, largest_error, layers, megabytes, milliseconds, percent):
        environment.filters[function.__name__] = function
    return environment.get_template(template.name).render(
        evidence=evidence,
        answers={target.name: answers(target, evidence.is_rehearsal, evidence.warnings) for target in evidence.targets},
        charts={target.name: benchmark_chart(target) for target in evidence.targets},
        pictures={target.name: base64.b64encode(target.chart.read_bytes()).decode() for target in evidence.targets},
        PYTORCH=PYTORCH,
        best_quantity=best_quantity,
        highest_throughput=highest_throughput,
        counted_memory_mb=counted_memory_mb,
        holds=holds,
    )


if __name__ == "__main__":
    run(main, parse_arguments())
