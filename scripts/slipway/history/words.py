"""Describe the changes between two runs in words."""

from pathlib import Path

from slipway.core.readable import readable
from slipway.core.templates import document
from slipway.history.compared_run import ComparedRun
from slipway.history.comparison import NOT_COMPARED, PASSED, UNDECIDED, UNKNOWN, Change
from slipway.history.figures import Figure
from slipway.history.lines import Run


def comparison_in_words(now: Run, target: str, compared: ComparedRun, changes: dict[str, list[Change]]) -> list[str]:
    """Return the comparison of the present run `now` with another run on one target, as lines of text.

    `compared` is the other run, or the reason why there is none. `changes` is {precision: changes of its engine}; the
    key "" has the changes of the served engine.
    """
    values = {"now": now, "target": target, "compared": compared, "changes": changes}
    template = Path(__file__).with_name("comparison.txt.j2")
    text = document(template, values, figure=figure_in_words, change=change_in_words, notes=notes_of)
    return text.splitlines()


def figure_in_words(figure: Figure | None) -> str:
    """Return a figure with its interval as text, such as "10.2 ms (9.8 to 10.9)"; "-" for None."""
    if figure is None:
        return "-"
    if figure.is_share:
        return f"{figure.value:.2%}"
    interval = f" ({' to '.join(map(readable, figure.interval))})" if figure.interval else ""
    return f"{readable(figure.value)} {figure.unit}".strip() + interval


def change_in_words(change: Change) -> str:
    """Return a change in words: "+410 %", or "-1.20 points" for a share."""
    if change.change is None:
        return "not compared"
    if change.figure.is_share:
        return f"{100 * change.change:+.2f} points"
    return f"{100 * change.change:+.1f} %"


def limit_in_words(change: Change) -> str:
    """Return how much the figure of a change may become worse, such as "may rise by 10 %"."""
    verb, unit = "fall" if change.figure.more_is_better else "rise", "points" if change.figure.is_share else "%"
    return f"may {verb} by {100 * (change.limit or 0):g} {unit}"


def sentence_of(change: Change) -> str:
    """Return a sentence about the change of a figure: both values, the change, the limit, and the noise."""
    figures = f"{change.name} {figure_in_words(change.before)} -> {figure_in_words(change.now)}"
    if change.verdict == NOT_COMPARED:
        return f"{figures}: not compared, {change.why_not}"
    words = f"{figures}: {change_in_words(change)}, where it {limit_in_words(change)}"
    if change.verdict == UNDECIDED:
        return f"{words}; but other work disturbed the measurement, or it was short, so this proves no regression"
    if change.verdict == PASSED and change.disturbed:
        return f"{words}; but other work disturbed the measurement, so it proves nothing"
    notes = ", ".join(filter(None, (change.noise, change.context)))
    return f"{words} ({notes})" if notes else words


def notes_of(change: Change) -> str:
    """Return the notes on a change for the table of a comparison: noise, other conditions, verdict, limit."""
    if change.why_not:
        return change.why_not
    disturbed = "disturbed" if change.disturbed and change.noise == UNKNOWN else ""
    refused = f"{change.verdict.upper()}: {limit_in_words(change)}" if change.verdict != PASSED else ""
    return ", ".join(filter(None, (change.noise, disturbed, change.context, refused)))
