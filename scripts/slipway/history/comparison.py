"""Compare two runs figure by figure: the change, whether it is more than the noise, whether it breaks a limit."""

from collections.abc import Mapping
from dataclasses import dataclass

from slipway.history.figures import Figure, aim_of, figures_of_engine, figures_under_load
from slipway.history.lines import Run

# Verdicts on a figure. "undecided": beyond its limit, but in a measurement that other work disturbed.
PASSED, REGRESSION, UNDECIDED, NOT_COMPARED = "passed", "regression", "undecided", "not compared"
MORE, WITHIN, UNKNOWN = "more than the noise", "within the noise", "noise unknown"


@dataclass(frozen=True)
class Change:
    """One figure before and now; one of them is None if it was not measured in both runs.

    `limit` is the allowed change for the worse, None without one. `why_not` says why it cannot be compared.
    """

    target: str
    before: Figure | None
    now: Figure | None
    limit: float | None = None
    why_not: str | None = None

    @property
    def name(self) -> str:
        """Return the figure's name."""
        return (self.now or self.before).name

    @property
    def change(self) -> float | None:
        """Return the change: relative, such as 0.1 for 10 % more; of a share, the difference."""
        if self.why_not:
            return None
        if self.now.is_share:
            return self.now.value - self.before.value
        # A metric may be negative, such as a log-likelihood: if it falls, so does its change.
        return (self.now.value - self.before.value) / abs(self.before.value) if self.before.value else 0.0

    @property
    def worse(self) -> float | None:
        """Return the change for the worse, which is limited; negative is better."""
        if self.change is None:
            return None
        return -self.change if self.now.more_is_better else self.change

    @property
    def disturbed(self) -> bool:
        """Return whether other work disturbed one of the two measurements."""
        return any(each.disturbed for each in (self.before, self.now) if each)

    @property
    def context(self) -> list[str]:
        """Return in words what else differs between the measurements, such as "4 -> 8 requests in flight"."""
        if self.before is None or self.now is None:
            return []
        pairs = {name: (self.before.context.get(name), value) for name, value in self.now.context.items()}
        return [f"{before} -> {now} {name}" for name, (before, now) in pairs.items() if before != now]

    @property
    def noise(self) -> str | None:
        """Say whether a change is more than the noise: the intervals have no common value. None of an exact figure."""
        if self.why_not or not self.now.spreads:
            return None
        if self.disturbed or None in (self.before.low, self.now.low):
            return UNKNOWN
        return WITHIN if self.before.low <= self.now.high and self.now.low <= self.before.high else MORE

    @property
    def verdict(self) -> str:
        """Return the verdict: a change beyond the limit that is within the noise is no regression."""
        if self.why_not:
            return NOT_COMPARED
        if self.limit is None or self.worse <= self.limit or self.noise == WITHIN:
            return PASSED
        return UNDECIDED if self.noise == UNKNOWN else REGRESSION


def compare(before: Run, now: Run, limits: Mapping[str, float | None], target: str) -> list[Change]:
    """Return the changes of what is served on a target: the chosen engine, and its configuration under load.

    `limits` are those of `regression` in config.yaml.
    """
    aims = [aim_of(run, target) for run in (before, now)]
    same_aim = aims[0] == aims[1] is not None
    figures = [
        [
            *figures_of_engine(run, target, run.targets[target]["selection"]["precision"]),
            *figures_under_load(run, target, same_aim),
        ]
        for run in (before, now)
    ]
    return _changes(target, *figures, limits)


def compare_others(before: Run, now: Run, target: str) -> dict[str, list[Change]]:
    """Return {precision: changes} of the engines that both runs measured, and that the new run did not choose."""
    engines = [run.targets[target]["engines"] for run in (before, now)]
    chosen = now.targets[target]["selection"]["precision"]
    return {
        name: _changes(target, *(figures_of_engine(run, target, name) for run in (before, now)), {})
        for name in engines[1]
        if name in engines[0] and name != chosen
    }


def _changes(target: str, before: list[Figure], now: list[Figure], limits: Mapping) -> list[Change]:
    earlier, later = ({each.name: each for each in figures} for figures in (before, now))
    return [_change(target, earlier.get(name), later.get(name), limits) for name in {**later, **earlier}]


def _change(target: str, before: Figure | None, now: Figure | None, limits: Mapping) -> Change:
    limit = limits.get((now or before).limit)
    if before is None or now is None:
        return Change(target, before, now, limit, "it was measured in one of the two runs alone")
    differing = [
        f"other {condition} ({before.conditions.get(condition)} -> {value})"
        for condition, value in now.conditions.items()
        if before.conditions.get(condition) != value
    ]
    return Change(target, before, now, limit, "; ".join(differing) or None)
