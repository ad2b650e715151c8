"""Draw the dependencies between rules from Snakemake's graph: snakemake --rulegraph dot | draw_rulegraph.py."""

import argparse
import re
import sys
from pathlib import Path

import networkx
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from slipway.core.artifacts import atomic_write
from slipway.core.cli import parser, run

TARGETS = {"deploy", "evidence"}


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    return parser(__doc__, output="drawing to write (.png)").parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Read the graph from standard input, lay it out from left to right, and draw it."""
    graph = read_graph(sys.stdin.read())
    with atomic_write(arguments.output) as partial:
        draw(graph, partial)


def read_graph(dot: str) -> networkx.DiGraph:
    """Return the graph of rules. Its nodes are rule names, and its edges lead to the rules that need them.

    `dot` is the output of `snakemake --rulegraph dot`. An edge is left out if a longer path joins the same two rules.
    """
    names = dict(re.findall(r'(\d+)\s*\[\s*label\s*=\s*"([^"]+)"', dot))
    graph = networkx.DiGraph((names[a], names[b]) for a, b in re.findall(r"(\d+)\s*->\s*(\d+)", dot))
    return networkx.transitive_reduction(graph)


def draw(graph: networkx.DiGraph, path: Path) -> None:
    """Draw the graph of rules into the PNG file `path`: rules as boxes, dependencies as arrows.

    A rule is to the right of its dependencies.
    """
    columns = dict(enumerate(networkx.topological_generations(graph)))
    positions = networkx.multipartite_layout(graph, subset_key=columns)
    figure = Figure(figsize=(14, 3.8), layout="constrained")
    axes = figure.subplots()
    networkx.draw_networkx_edges(graph, positions, ax=axes, edge_color="0.6", node_size=2600, arrowsize=12)
    for rule, (x, y) in positions.items():
        colour = "#ffe3b3" if rule in TARGETS else "#d7e8f7"
        box = {"boxstyle": "round,pad=0.5", "facecolor": colour, "edgecolor": "0.5"}
        axes.text(x, y, rule.replace("_", "\n"), ha="center", va="center", fontsize=9, bbox=box)
    axes.axis("off")
    axes.margins(0.05, 0.15)
    figure.savefig(path, dpi=110, format="png")


if __name__ == "__main__":
    run(main, parse_arguments())
