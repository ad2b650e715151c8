"""Render the load test as PDF: a summary for decisions, and a detailed report of every measurement."""

import argparse
from itertools import groupby
from pathlib import Path

import matplotlib
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Image, PageBreak, Paragraph, SimpleDocTemplate, Table, TableStyle

from slipway.core.artifacts import atomic_write, read_json
from slipway.core.cli import parser, progress, run
from slipway.load_test.limits import configuration_in_words, gaps_in_words, holds, is_disturbed

STYLES = getSampleStyleSheet()
TEXT_WIDTH = A4[0] - 40 * mm
# {key in a measurement: (heading of its column, format)}
COLUMNS = {
    "precision": ("precision", "{}"),
    "instances": ("instances", "{}"),
    "max_batch_size": ("max batch", "{}"),
    "concurrency": ("in flight", "{}"),
    "throughput_per_s": ("requests/s", "{:.1f}"),
    "mean_ms": ("mean ms", "{:.1f}"),
    "p90_ms": ("p90 ms", "{:.1f}"),
    "p95_ms": ("p95 ms", "{:.1f}"),
    "p99_ms": ("p99 ms", "{:.1f}"),
    "spread_percent": ("spread %", "{:.0f}"),
    "queue_ms": ("queue ms", "{:.1f}"),
    "compute_ms": ("compute ms", "{:.1f}"),
    "memory_mb": ("memory MB", "{:.0f}"),
    "gpu_memory_mb": ("GPU MB", "{:.0f}"),
    "verdict": ("verdict", "{}"),
}
NOT_IN_SUMMARY = {"spread_percent", "mean_ms", "p90_ms", "p95_ms", "queue_ms", "compute_ms"}
NOT_IN_DETAIL = {"precision", "instances", "max_batch_size"}  # the same in all rows of a table


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(
        __doc__,
        *("load_test", "model", "target"),
        plots="folder of Model Analyzer's plots (.png)",
        chart="chart of throughput and latency to write (.png)",
        summary="PDF to write: the configurations compared",
        detail="PDF to write: every measurement",
    )
    arguments.add_argument("--p99-limit-ms", type=float, required=True, help="highest p99 latency in milliseconds")
    arguments.add_argument("--memory-limit-mb", type=float, help="most MB of server and model; on a GPU, the GPU's")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Write the chart and both reports."""
    tested = read_json(arguments.load_test)
    rows = tested["measurements"]
    with atomic_write(arguments.chart) as partial:
        draw_chart(rows, arguments.p99_limit_ms, partial)
    with atomic_write(arguments.summary) as partial:
        typeset(partial, "Load test: summary", summary(tested, arguments), arguments)
    with atomic_write(arguments.detail) as partial:
        typeset(partial, "Load test: every measurement", detail(tested, arguments), arguments)
    progress(f"  {arguments.summary} and {arguments.detail.name}, of {len(rows)} measurements")


def summary(tested: dict, arguments: argparse.Namespace) -> list[Flowable]:
    """Return the summary: conditions, measurements by throughput with violated limits marked, chart."""
    rows = sorted(tested["measurements"], key=lambda row: -row["throughput_per_s"])
    over = over_limit(rows, arguments)
    return [
        *conditions(tested, arguments),
        table(rows, NOT_IN_SUMMARY, over),
        paragraph(
            "Rows in red exceed a limit and are not chosen." if over else "Every configuration holds the limits."
        ),
        drawing(arguments.chart),
    ]


def detail(tested: dict, arguments: argparse.Namespace) -> list[Flowable]:
    """Return a section for each variant, then Model Analyzer's own plots."""
    story = conditions(tested, arguments)
    for rows in by_variant(tested["measurements"]):
        story += [
            paragraph(rows[0]["variant"], "Heading2"),
            paragraph(in_words(rows[0])),
            table(rows, NOT_IN_DETAIL, over_limit(rows, arguments)),
        ]
    story += [PageBreak(), paragraph("Model Analyzer's plots", "Heading2")]
    for plot in sorted(arguments.plots.rglob("*.png")):
        story += [paragraph(f"{plot.parent.name}: {plot.stem.replace('_', ' ')}", "Heading3"), drawing(plot)]
    return story


def conditions(tested: dict, arguments: argparse.Namespace) -> list[Flowable]:
    """Return the conditions of the measurements: hardware, engines, server, limits."""
    keys = list(tested["engines"].values())
    lines = [
        f"Hardware: {keys[0]['hardware']}",
        "Engines: " + ", ".join(f"{key['precision']} by {key['runtime']} {key['runtime_version']}" for key in keys),
        "Server: "
        + ("native backend" if tested["server"]["native_backends"] else "Python backend of the nvidia-pytriton wheel")
        + (", dynamic batching; " if tested["batched"] else "; ")
        + f"one sample a request ({', '.join(tested['inputs'])}), real ones in turns, over gRPC on the same machine.",
        f"Limits: p99 at most {arguments.p99_limit_ms:g} ms, "
        + ("GPU memory " if "gpu_memory_mb" in tested["measurements"][0] else "memory ")
        + (f"at most {arguments.memory_limit_mb:g} MB." if arguments.memory_limit_mb else "unlimited."),
    ]
    if gaps := gaps_in_words(tested.get("not_measured", []), tested["measurements"], tested.get("minutes")):
        lines.append(f"<b>Note</b>: {gaps}.")
    if tested["origin"] == "rehearsal":
        lines.append("<b>Rehearsal</b>: random weights. Speed and memory are real, answers mean nothing.")
    return list(map(paragraph, lines))


def by_variant(rows: list[dict]) -> list[list[dict]]:
    """Return the measurements of each variant, by their concurrency."""
    ordered = sorted(rows, key=lambda row: (row["variant"], row["concurrency"]))
    return [list(measured) for _, measured in groupby(ordered, key=lambda row: row["variant"])]


def in_words(row: dict) -> str:
    """Return the configuration of a measurement in words."""
    return f"{row['precision']}, {configuration_in_words(row)}"


def over_limit(rows: list[dict], arguments: argparse.Namespace) -> list[int]:
    """Return the indices of the measurements that exceed a limit."""
    limits = arguments.p99_limit_ms, arguments.memory_limit_mb
    return [index for index, row in enumerate(rows) if not holds(row, *limits)]


def draw_chart(rows: list[dict], p99_limit_ms: float, path: Path) -> None:
    """Draw throughput against p99 latency, with a line per variant, and the limit if it is within the chart."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 3.8), layout="constrained")
    for points in by_variant(rows):
        label = in_words(points[0]) + (" (as configured)" if points[0]["variant"].endswith("default") else "")
        label += " (disturbed)" if any(map(is_disturbed, points)) else ""
        axes.plot([row["p99_ms"] for row in points], [row["throughput_per_s"] for row in points], "o-", label=label)
        for row in points:
            position = (row["p99_ms"], row["throughput_per_s"])
            axes.annotate(f"{row['concurrency']}", position, textcoords="offset points", xytext=(4, 4), fontsize=8)
    if p99_limit_ms <= 1.2 * max(row["p99_ms"] for row in rows):
        axes.axvline(p99_limit_ms, color="tab:red", linestyle="--", label=f"limit {p99_limit_ms:g} ms")
    axes.set(xlabel="p99 latency in ms", ylabel="requests per second", xlim=(0, None), ylim=(0, None))
    axes.set_title("Throughput against latency; the numbers are requests in flight", fontsize=10)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=150, format="png")
    pyplot.close(figure)


def typeset(path: Path, title: str, story: list[Flowable], arguments: argparse.Namespace) -> None:
    """Write a PDF with a title and page numbers. Its bytes depend only on its content."""
    heading = f"{title} of {arguments.model} on {arguments.target}"
    document = SimpleDocTemplate(
        str(path),
        pagesize=A4,
        title=heading,
        author="Slipway",
        invariant=True,
        **{f"{side}Margin": 20 * mm for side in ("left", "right", "top", "bottom")},
    )
    document.build([paragraph(heading, "Title"), *story], onFirstPage=number_page, onLaterPages=number_page)


def number_page(canvas: Canvas, document: SimpleDocTemplate) -> None:
    """Print the page number at the foot."""
    canvas.setFont("Helvetica", 8)
    canvas.drawRightString(A4[0] - 20 * mm, 10 * mm, f"page {document.page}")


def table(rows: list[dict], left_out: set[str], marked: list[int]) -> Table:
    """Return a table of the rows, with the `marked` ones in red. Columns that the measurements lack are left out."""
    shown = {key: column for key, column in COLUMNS.items() if key in rows[0] and key not in left_out}
    cells = [[heading for heading, _ in shown.values()]]
    cells += [["-" if row[key] is None else form.format(row[key]) for key, (_, form) in shown.items()] for row in rows]
    look = [
        ("FONTSIZE", (0, 0), (-1, -1), 8),
        ("FONTNAME", (0, 0), (-1, 0), "Helvetica-Bold"),
        ("LINEBELOW", (0, 0), (-1, 0), 0.8, colors.black),
        ("LINEBELOW", (0, 1), (-1, -1), 0.2, colors.lightgrey),
        ("ALIGN", (0, 0), (-1, -1), "RIGHT"),
        *(("TEXTCOLOR", (0, index + 1), (-1, index + 1), colors.red) for index in marked),
    ]
    return Table(cells, style=TableStyle(look), hAlign="LEFT", repeatRows=1, spaceBefore=4 * mm, spaceAfter=4 * mm)


def paragraph(text: str, style: str = "BodyText") -> Paragraph:
    """Return a paragraph in one of reportlab's sample styles."""
    return Paragraph(text, STYLES[style])


def drawing(path: Path) -> Image:
    """Return a drawing as wide as the text, with its own proportions."""
    width, height = ImageReader(str(path)).getSize()
    return Image(str(path), TEXT_WIDTH, TEXT_WIDTH * height / width)


if __name__ == "__main__":
    run(main, parse_arguments())
