"""Compare two runs figure by figure: the change, whether it exceeds the noise, and whether it breaks a limit."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from slipway.history.figures import Figure, aim_of, figures_of_engine, served_figures
from slipway.history.lines import Run

# Verdicts on a change. "undecided": it exceeds its limit, but the noise is unknown, as in a disturbed measurement.
PASSED, REGRESSION, UNDECIDED, NOT_COMPARED = "passed", "regression", "undecided", "not compared"
MORE, WITHIN, UNKNOWN = "more than the noise", "within the noise", "noise unknown"


@dataclass(frozen=True)
class Change:
    """A figure in two runs, `before` and `now`, and its change. A run that did not measure the figure has None.

    `limit`: the allowed change for the worse; None if there is no limit. `change`: relative, such as 0.1 for 10 % more;
    for a share, the difference. `worse`: the change for the worse, which `limit` limits; negative if the figure is
    better. If the figures cannot be compared, `why_not` has the reason, and `change` and `worse` are None. `noise`: the
    change relative to the noise, in words; None for an exact figure. `disturbed`: whether one of the measurements was
    disturbed. `verdict`: "passed", "regression", "undecided" or "not compared". `context`: other conditions that
    differ, in words.
    """

    target: str
    name: str
    before: Figure | None
    now: Figure | None
    limit: float | None = None
    why_not: str | None = None
    change: float | None = None
    worse: float | None = None
    noise: str | None = None
    disturbed: bool = False
    verdict: str = NOT_COMPARED
    context: str = ""

    @property
    def figure(self) -> Figure:
        """Return the figure of the run `now`, or of the run `before` if `now` did not measure the figure."""
        figure = self.now or self.before
        assert figure
        return figure


def compare(before: Run, now: Run, limits: Mapping[str, float | None], target: str) -> list[Change]:
    """Compare two runs on a target: the figures of the served engine, and of the served configuration under load.

    `limits` are {figure: allowed change for the worse, or None}, such as {"latency": 0.1}, from `regression` in
    config.yaml.
    """
    aims = [aim_of(run, target) for run in (before, now)]
    same_aim = aims[0] == aims[1] is not None
    earlier, later = (served_figures(run, target, same_aim) for run in (before, now))
    return _changes(target, earlier, later, limits)


def compare_others(before: Run, now: Run, target: str) -> dict[str, list[Change]]:
    """Compare the engines that both runs measured on a target, without the engine that `now` chose.

    Returns {precision: changes}. There are no limits for these changes.
    """
    engines = [run.targets[target]["engines"] for run in (before, now)]
    chosen = now.targets[target]["selection"]["precision"]
    return {
        name: _changes(target, figures_of_engine(before, target, name), figures_of_engine(now, target, name), {})
        for name in engines[1]
        if name in engines[0] and name != chosen
    }


def _changes(target: str, before: list[Figure], now: list[Figure], limits: Mapping) -> list[Change]:
    earlier, later = ({figure.name: figure for figure in figures} for figures in (before, now))
    return [_change(target, name, earlier.get(name), later.get(name), limits) for name in later | earlier]


def _change(target: str, name: str, before: Figure | None, now: Figure | None, limits: Mapping) -> Change:
    comparison = Change(target, name, before, now)
    disturbed = any(figure.disturbed for figure in (before, now) if figure)
    comparison = replace(comparison, limit=limits.get(comparison.figure.limit), disturbed=disturbed)
    if before is None or now is None:
        return replace(comparison, why_not="it was measured in one of the two runs alone")
    if differing := _differing(before.conditions, now.conditions):
        others = [f"other {condition} ({earlier} -> {later})" for condition, (earlier, later) in differing.items()]
        return replace(comparison, why_not="; ".join(others))
    change = now.value - before.value
    if not now.is_share:
        # A metric may be negative, such as a log-likelihood. abs() keeps the sign of the change.
        change = change / abs(before.value) if before.value else 0.0
    worse = -change if now.more_is_better else change
    noise = _noise(before, now) if now.spreads else None
    context = [f"{one} -> {other} {name}" for name, (one, other) in _differing(before.context, now.context).items()]
    verdict = verdict_of(worse, comparison.limit, noise)
    return replace(comparison, change=change, worse=worse, noise=noise, verdict=verdict, context=", ".join(context))


def _differing(before: Mapping, now: Mapping) -> dict[str, tuple]:
    """Return {condition: (value before, value now)} of the conditions, such as the hardware, whose values differ."""
    return {name: (before.get(name), value) for name, value in now.items() if before.get(name) != value}


def _noise(before: Figure, now: Figure) -> str:
    """Return MORE if the intervals have no common value, WITHIN if they have one, UNKNOWN without steady intervals."""
    if before.interval is None or now.interval is None or before.disturbed or now.disturbed:
        return UNKNOWN
    return WITHIN if before.interval[0] <= now.interval[1] and now.interval[0] <= before.interval[1] else MORE


def verdict_of(worse: float, limit: float | None, noise: str | None) -> str:
    """Return the verdict on the change of a figure: "passed", "undecided" or "regression".

    `worse` is the change for the worse, `limit` the allowed one; None is no limit. `noise` is MORE, WITHIN or UNKNOWN;
    None for an exact figure. A change above the limit passes if it is within the noise, and is undecided if the noise
    is unknown.
    """
    if limit is None or worse <= limit or noise == WITHIN:
        return PASSED
    return UNDECIDED if noise == UNKNOWN else REGRESSION
