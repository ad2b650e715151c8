"""Fill in the report page from the measurements of a model."""

from pathlib import Path
from typing import Any

import jinja2

from slipway.benchmark import comparison
from slipway.classification import report_photographs, reporting
from slipway.load_test import configurations, limits
from slipway.report import charts, drawing, formats, headline, load_test_charts, palette
from slipway.report.clients import client_lines
from slipway.report.measurements import Measurements, Target
from slipway.report.recipe import Recipe
from slipway.report.verdicts import YES, answers, is_it_live
from slipway.report.versions import versions


def environment() -> jinja2.Environment:
    """Return the templates of the report, with the formats of measurements as filters. Text from records is escaped."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader([Path(__file__).parent, reporting.FOLDER]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters |= {name: function for name, function in vars(formats).items() if callable(function)}
    made.globals |= {"light": palette.LIGHT, "dark": palette.DARK, "looks": drawing.rules("var(--{})".format)}
    return made


def render(evidence: Measurements, recipe: Recipe) -> str:
    """Return the page as self-contained HTML."""
    targets = in_order(evidence)
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            evidence=evidence,
            recipe=recipe.markup(),
            targets=targets,
            tables="tables.html.j2",
            part_of_task=reporting.TEMPLATE,
            samples_of_task=reporting.SAMPLES,
            side_by_side=side_by_side(targets, evidence),
            verdicts={target.name: headline.verdict(target, evidence) for target in targets},
            figures={target.name: headline.figures(target, evidence) for target in targets},
            answers={target.name: answers(target, evidence) for target in targets},
            charts={target.name: _charts(target, evidence) for target in targets},
            trends={target.name: charts.trends(target, evidence) for target in targets},
            samples={target.name: _samples(target, evidence) for target in targets},
            versions={target.name: versions(target, evidence) for target in targets},
            noise_in_words=reporting.noise_in_words,
            client=client_lines(evidence),
            comparison=comparison,
            load_test=limits,
            breaks_limits=configurations.broken,
        )
    )


def in_order(evidence: Measurements) -> list[Target]:
    """Return the targets, live ones first, else in the order of the configuration."""
    return sorted(evidence.targets, key=lambda target: is_it_live(target, evidence.history)[0] != YES)


def side_by_side(targets: list[Target], evidence: Measurements) -> list[tuple[str, list[str | None]]]:
    """Return the rows of a table with a column for each target: (name of a figure, its value on each target)."""
    columns: list[dict[str, str | None]] = [
        {
            "hardware": target.chosen.build["key"]["hardware"],
            "engine": target.chosen.precision,
            "beside the model itself": headline.speed(target)[1],
            **{figure.name: figure.value for figure in headline.figures(target, evidence)},
        }
        for target in targets
    ]
    names = list(dict.fromkeys(name for column in columns for name in column))
    live: list[str | None] = [is_it_live(target, evidence.history)[1] for target in targets]
    return [*((name, [column.get(name) for column in columns]) for name in names), ("live", live)]


def _charts(target: Target, evidence: Measurements) -> dict[str, Any]:
    """Return the charts of a target; one that would have a single point is None."""
    tested = configurations.ranked(target.load_test["measurements"], target.selection), target.selection
    return {
        "latency": charts.latency_chart(target, evidence),
        "throughput": charts.throughput_chart(target, evidence),
        "load": load_test_charts.throughput_chart(*tested),
        "memory": load_test_charts.memory_chart(*tested),
        "signs": load_test_charts.signs(load_test_charts.throughput_series(*tested)),
        "time": charts.time_chart(target, evidence),
        "time_rows": charts.time_rows(target, evidence),
    }


def _samples(target: Target, evidence: Measurements) -> list[report_photographs.Shown]:
    if not evidence.is_classifier or evidence.samples is None:
        return []
    facts = {**evidence.golden, **evidence.contract.facts}
    return report_photographs.shown(evidence.samples, target.chosen.accuracy, evidence.value_names, facts)
