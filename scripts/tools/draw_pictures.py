"""Draw the pictures of README and docs/results.md from the records of measurements, and from a real dry run.

README's picture shows the measured throughput of a GPU beside a dry run, which names the reasons why engines are stale.
The dry run works in a temporary folder. A small network with random weights is built there for this CPU; then its
weights are replaced.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from slipway.core.artifacts import read_json, write_text
from slipway.core.cli import parser, progress, run
from slipway.core.templates import document
from slipway.load_test.configurations import ranked
from slipway.report.load_test_charts import memory_chart, throughput_chart
from slipway.tools.snakemake_runs import snakemake, write_checkpoint, write_config

ARCHITECTURE, MODEL = "squeezenet1_1", "my_model"
# {subject of the benchmark: (name of the subject, look of its bar)}
SUBJECTS = {
    "pytorch": ("PyTorch", "base"),
    "pytorch_fp16": ("PyTorch in FP16, in a CUDA graph", "base"),
    "fp16": ("Slipway: FP16 engine", "own"),
    "int8": ("Slipway: INT8 engine", "best"),
}
LONGEST_BAR = 240
# The size of the terminal in the picture: lines, and letters in a line.
LINES, LETTERS = 13, 63


@dataclass(frozen=True)
class Line:
    """One line of the terminal in the picture. `kind` is its look: "command", "output" or "reason"."""

    text: str
    kind: str = "output"


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    return parser(
        __doc__,
        benchmark="record with a GPU's benchmark, such as docs/measurements/h100/resnet50.json",
        load_test="record with a GPU's load test and the choice from it",
        folder="folder to write readme.svg, throughput_latency.svg and memory_latency.svg to",
    ).parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Make the dry run, draw the pictures, and write them into --folder."""
    with tempfile.TemporaryDirectory(prefix="slipway-picture-") as folder:
        lines = terminal(dry_run(Path(folder)))
    pictures = {"readme": picture(read_json(arguments.benchmark), lines), **charts(read_json(arguments.load_test))}
    for name, svg in pictures.items():
        write_text(arguments.folder / f"{name}.svg", svg)
        progress(f"  {arguments.folder / name}.svg")


def charts(record: dict) -> dict[str, str]:
    """Return {"throughput_latency", "memory_latency": SVG text}, the charts of a load test as in its reports.

    `record` is the JSON that measure_gpu.py writes; its "load_test" and "selection" are drawn. A chart without points
    is left out.
    """
    # Records of earlier versions in docs/measurements have no verdicts. Their points are drawn like steady points.
    rows = [{"verdict": None, **row} for row in record["load_test"]["measurements"]]
    configurations = ranked(rows, record["selection"])
    drawn = {"throughput_latency": throughput_chart, "memory_latency": memory_chart}
    drawings = {name: draw(configurations, record["selection"], in_document=True) for name, draw in drawn.items()}
    return {name: drawing.file() for name, drawing in drawings.items() if drawing}


def picture(record: dict, lines: Sequence[Line]) -> str:
    """Return README's picture as SVG text: bars of throughput beside a terminal.

    `record` is the JSON that measure_gpu.py writes; its "benchmark" gives the bars. `lines` are shown in the terminal.
    """
    gpu = record["benchmark"]["environment"]["gpu"]["name"]
    (version,) = {engine["key"]["runtime_version"] for engine in record["engines"].values()}
    drawn = bars(record)
    numbers = "; ".join(f"{bar['name']} {bar['number']}" for bar in drawn)
    values = {
        # The picture in words, for a reader who cannot see it.
        "alt": f"Images per second on an H100: {numbers}. A terminal: {' '.join(line.text.strip() for line in lines)}",
        "heading": f"ResNet-50 on one {gpu.removeprefix('NVIDIA ').split()[0]}: images per second",
        "conditions": f"each at its best batch size; TensorRT {version}; measured {record['measured_at'][:10]}",
        "bars": drawn,
        "lines": lines,
    }
    return document(Path(__file__).with_name("readme_picture.svg.j2"), values)


def bars(record: dict) -> list[dict]:
    """Return the bars of the picture, one for each of SUBJECTS: its highest throughput.

    `record` is the JSON that measure_gpu.py writes. A bar is {"name", "number", "width" (pixels), "kind" (its look)}.
    "number" is the throughput in inferences/s as text. For an engine, the ratio to PyTorch's throughput follows.
    """
    best, ratios = (record["benchmark"][name] for name in ("best_throughput", "best_throughput_ratios"))
    rates = {subject: best[subject]["inferences_per_s"] for subject in SUBJECTS}
    drawn = []
    for subject, (name, kind) in SUBJECTS.items():
        times = f" ({ratios[subject]['pytorch']:.1f} times)" if kind != "base" else ""
        width = LONGEST_BAR * rates[subject] / max(rates.values())
        drawn.append({"name": name, "number": f"{rates[subject]:,.0f}{times}", "width": width, "kind": kind})
    return drawn


def dry_run(folder: Path) -> str:
    """Return the output of `snakemake -n deploy` after the weights of a built model were replaced.

    The model is small and has random weights. It is built in `folder`, which must be empty.
    """
    model = {"architecture": ARCHITECTURE, "weights": f"{MODEL}.pth", "preprocess": {"resize": 72, "crop": 64}}
    write_config(folder, {"models": {MODEL: model}, "targets": {"cpu": {"precisions": ["fp32", "bf16"]}}})
    write_checkpoint(folder / f"{MODEL}.pth", ARCHITECTURE, seed=1)
    snakemake(folder, *(f"results/{MODEL}/cpu/{MODEL}.{precision}.engine.json" for precision in ("fp32", "bf16")))
    write_checkpoint(folder / f"{MODEL}.pth", ARCHITECTURE, seed=2)
    return snakemake(folder, "-n", "deploy").output


def terminal(output: str) -> list[Line]:
    """Return the lines to show in the picture: the stale jobs of a dry run, up to the last build of an engine.

    `output` is the output of Snakemake's dry run. Each job is followed by the reason why it is stale. Jobs whose
    outputs are missing are left out, since only the engines and their inputs were made before.
    """
    jobs = re.findall(r"^(Job \d+: .*)\nReason: (.*)$", output, re.MULTILINE)
    last = max(index for index, (job, _) in enumerate(jobs) if "engine of" in job and "Building" in job)
    lines = [Line("$ snakemake -n deploy", "command")]
    for job, reason in jobs[: last + 1]:
        if "missing" not in reason:
            lines += [Line(cut(job)), Line(cut(f"Reason: {reason}"), "reason")]
    return [*lines[: LINES - 1], Line("...")]


def cut(text: str) -> str:
    """Return a text, cut at a word so that it fits into one line of the terminal."""
    return shorten(text, LETTERS, placeholder=" ...")


if __name__ == "__main__":
    run(main, parse_arguments())
