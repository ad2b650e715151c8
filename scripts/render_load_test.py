"""Render the load test: its charts, a summary for decisions (PDF), and a report of every measurement (PDF)."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reportlab.platypus import CondPageBreak, Flowable, Spacer, Table

from slipway.core.artifacts import atomic_write, read_json, sha256, write_text
from slipway.core.cli import parser, progress, run
from slipway.core.errors import SlipwayError
from slipway.load_test.configurations import (
    ORDERS,
    Configuration,
    broken,
    goal_of,
    is_chosen,
    limits_of,
    ranked,
    remarks,
)
from slipway.load_test.limits import gaps_in_words
from slipway.report.documents import MARKED, PLAIN, REFUSED, WIDTH, paragraph, table, together, typeset
from slipway.report.drawing import Drawing, sentence
from slipway.report.load_test_charts import latency_chart, memory_chart, throughput_chart
from slipway.report.pdf_drawing import pdf_drawing
from slipway.triton.server import kinds

# {key of a measurement: (heading of its column, format)}; columns without any figure are left out.
COLUMNS = {
    "concurrency": ("in\nflight", "{}"),
    "throughput_per_s": ("requests\nper s", "{:,.1f}"),
    "mean_ms": ("mean\nms", "{:,.1f}"),
    "p50_ms": ("p50\nms", "{:,.1f}"),
    "p90_ms": ("p90\nms", "{:,.1f}"),
    "p95_ms": ("p95\nms", "{:,.1f}"),
    "p99_ms": ("p99\nms", "{:,.1f}"),
    "queue_ms": ("queue\nms", "{:,.1f}"),
    "compute_ms": ("compute\nms", "{:,.1f}"),
    "memory_mb": ("memory\nMB", "{:,.0f}"),
    "gpu_memory_mb": ("GPU\nMB", "{:,.0f}"),
    "spread_percent": ("spread\n%", "{:.0f}"),
    "others_cpu_percent": ("others\n%", "{:.0f}"),
}
IN_SUMMARY = ("concurrency", "throughput_per_s", "p50_ms", "p90_ms", "p99_ms", "memory_mb", "gpu_memory_mb")
BEST = "Each by its best measurement within the limits; the chosen configuration by the one that was chosen."
ONE_POINT = "A single point was measured, so a table shows it better than a chart; summary.pdf has its figures."
MEANINGS = (
    "Spread: how far the throughputs of the three windows are apart. Others: the share of the CPUs that other programs "
    "took. Queue and compute: Triton's own mean times. Windows that disagree, or CPUs that others took, make a "
    "measurement disturbed."
)


@dataclass(frozen=True)
class Tested:
    """A load test and the choice from it: what the charts and reports show.

    `record` is the JSON that load_test.py writes, and `selection` the JSON that choose_configuration.py writes.
    `configurations` are the configurations of the load test, the best first.
    """

    record: Mapping[str, Any]
    selection: Mapping[str, Any]
    configurations: Sequence[Configuration]


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    return parser(
        __doc__,
        *("load_test", "model", "target"),
        selection="configuration that was chosen from the load test (.json)",
        throughput_chart="chart of throughput against latency to write (.svg)",
        memory_chart="chart of memory against latency to write (.svg)",
        summary="PDF to write: the configurations compared",
        detail="PDF to write: every measurement",
    ).parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Write the charts and both reports."""
    tested = read_tested(arguments)
    charts = {
        path: chart(tested.configurations, tested.selection, in_document=True)
        for path, chart in ((arguments.throughput_chart, throughput_chart), (arguments.memory_chart, memory_chart))
    }
    of = f"of {arguments.model} on {arguments.target}"
    for path, chart in charts.items():
        write_text(path, (chart or sentence(ONE_POINT)).file())
    with atomic_write(arguments.summary) as partial:
        typeset(partial, f"Load test {of}", summary(tested, [chart for chart in charts.values() if chart]))
    with atomic_write(arguments.detail) as partial:
        typeset(partial, f"Every measurement of the load test {of}", detail(tested))
    count = len(tested.record["measurements"])
    progress(f"  {arguments.summary} and {arguments.detail.name}, of {count} measurements")


def read_tested(arguments: argparse.Namespace) -> Tested:
    """Read the load test and the choice. Raise SlipwayError if the choice was made from another load test."""
    record, selection = read_json(arguments.load_test), read_json(arguments.selection)
    if selection["chosen_from"]["load_test_sha256"] != sha256(arguments.load_test):
        raise SlipwayError(
            f"{arguments.selection} was chosen from another load test than {arguments.load_test}; run snakemake again"
        )
    return Tested(record, selection, ranked(record["measurements"], selection))


def summary(tested: Tested, charts: Sequence[Drawing]) -> list[Flowable]:
    """Return the summary: conditions, choice, charts, and a table with the best measurement of each configuration."""
    best = [configuration.best for configuration in tested.configurations]
    return [
        *conditions(tested),
        *([together(pdf_drawing(chart, WIDTH), Spacer(0, 8)) for chart in charts] or [paragraph(ONE_POINT)]),
        CondPageBreak(110),  # space for the heading and some rows
        paragraph(f"Configurations, {ORDERS[goal_of(tested.selection)]}", "heading"),
        paragraph(BEST, "quiet"),
        measurements(best, tested, IN_SUMMARY, [configuration.words for configuration in tested.configurations]),
        *gaps(tested.record),
    ]


def detail(tested: Tested) -> list[Flowable]:
    """Return the report of every measurement: the conditions, and a section for each configuration.

    The measurements of a configuration are on one page, as a table and as a chart.
    """
    story = [*conditions(tested), paragraph(MEANINGS, "quiet")]
    for number, configuration in enumerate(tested.configurations, 1):
        figures = measurements(configuration.rows, tested, tuple(COLUMNS))
        heading = paragraph(f"{number}. {configuration.words}", "heading")
        chart = latency_chart(configuration)
        story.append(together(heading, figures, chart and pdf_drawing(chart, WIDTH)))
    return [*story, *gaps(tested.record)]


def conditions(tested: Tested) -> list[Flowable]:
    """Return paragraphs with the conditions of the measurements, and with the choice and its reason."""
    record, engines = tested.record, list(tested.record["engines"].values())
    measured_at = datetime.fromisoformat(record["measured_at"])
    notes = [
        paragraph(f"Measured on {measured_at:%Y-%m-%d at %H:%M} UTC on {engines[0]['hardware']}.", "quiet"),
        paragraph(
            "Engines: "
            + ", ".join(f"{key['precision']} by {key['runtime']} {key['runtime_version']}" for key in engines)
            + f". {server_in_words(record)} {limits_in_words(tested)}",
            "quiet",
        ),
    ]
    if record["origin"] == "rehearsal":
        notes.append(
            paragraph("random weights. Speed and memory are real, answers mean nothing.", "warning", "Rehearsal:")
        )
    notes.append(paragraph(f"{tested.selection['reason']}.", "verdict", "Chosen:"))
    return notes


def gaps(record: Mapping[str, Any]) -> list[Flowable]:
    """Return a note on points that were not measured, cut short or disturbed; [] if there are no such points.

    `record` is the record of the load test, the JSON that load_test.py writes.
    """
    words = gaps_in_words(record["not_measured"], record["measurements"], record["minutes"])
    return [paragraph(f"{words}.", "warning", "Note:")] if words else []


def server_in_words(record: Mapping[str, Any]) -> str:
    """Return the server of the load test and its requests in words. `record` is the record of the load test."""
    batching = " and dynamic batching" if record["batched"] else ""
    return (
        f"Server: {kinds.server_in_words(record['server'])}{batching}. "
        f"Each request has one sample ({', '.join(record['inputs'])}), real "
        "ones in turns, sent over gRPC on the same machine by perf_analyzer under Model Analyzer."
    )


def limits_in_words(tested: Tested) -> str:
    """Return the limits of the choice in a sentence, or "Limits: none." without limits."""
    limits = limits_of(tested.selection)
    counted = "GPU memory" if "gpu_memory_mb" in tested.record["measurements"][0] else "memory"
    words = {
        "p99 at most {:g} ms": limits.p99_ms,
        f"{counted} at most {{:g}} MB": limits.memory_mb,
        "throughput at least {:g}/s": limits.min_throughput_per_s,
        "accuracy loss at most {:g}": limits.max_accuracy_loss,
    }
    stated = [form.format(limit) for form, limit in words.items() if limit is not None]
    return f"Limits: {', '.join(stated) or 'none'}."


def measurements(
    rows: Sequence[Mapping[str, Any]], tested: Tested, columns: Sequence[str], names: Sequence[str] | None = None
) -> Table:
    """Return a table with one row per measurement: the columns `columns`, and remarks, such as a broken limit.

    `rows` are measurements in the record of the load test. A column without any figure is left out. `names`, one for
    each row, are in the first column; None leaves this column out.
    """
    shown = [name for name in columns if any(row.get(name) is not None for row in rows)]
    cells = [
        [
            *(["-" if row.get(name) is None else COLUMNS[name][1].format(row[name]) for name in shown]),
            ", ".join(remarks(row, tested.selection)),
        ]
        for row in rows
    ]
    headings = [*(COLUMNS[name][0] for name in shown), ""]
    texts = {len(shown): 1.0}  # the column of remarks
    if names:
        cells = [[name, *row] for name, row in zip(names, cells, strict=True)]
        headings, texts = ["", *headings], {0: 3.0, len(shown) + 1: 2.0}
    return table(headings, cells, [kind_of(row, tested.selection) for row in rows], texts)


def kind_of(row: Mapping[str, Any], selection: Mapping[str, Any]) -> str:
    """Return the kind of a row: MARKED for the chosen measurement, REFUSED if it breaks a limit, PLAIN otherwise."""
    if is_chosen(row, selection):
        return MARKED
    return REFUSED if broken(row, selection) else PLAIN


if __name__ == "__main__":
    run(main, parse_arguments())
