"""The user's own metric: a function of answers and samples. Its values may have limits."""

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from slipway.contract.contract import Tensors
from slipway.core.errors import SlipwayError, explained_by
from slipway.core.readable import readable
from slipway.core.user_modules import import_users, users_modules_first
from slipway.networks.user_code import first_sentence, place_of


def measure(
    function: str | None, answers: Sequence[Tensors], samples: Iterable[Tensors], limited: Iterable[str] = ()
) -> dict[str, float]:
    """Call the user's metric with the answers and the samples. Return {name: value}; {} without a metric.

    `function` is "package.module:function" or None, `limited` are the names that have limits in config.yaml. Raises
    SlipwayError with the line of the user's code if the function fails, or if it does not return {name: number} with
    every name in `limited`.
    """
    if not function:
        return {}
    explanation = explained_by(
        lambda error: (
            f"the metric {function} fails ({first_sentence(error)}){place_of(error)}; it is called with the list of "
            "outputs and the list of samples, both of {name: array}"
        )
    )
    with explanation, users_modules_first():  # the function itself may import the user's modules, too
        values = import_users(function)(list(answers), list(samples))
    if not isinstance(values, Mapping) or not values or not all(map(_is_number, values.values())):
        raise SlipwayError(
            f"the metric {function} returns {values!r:.200}, where {{name: number}} is needed, such as "
            '{"cosine": 0.99}'
        )
    figures = {str(name): float(value) for name, value in values.items()}
    if missing := [name for name in limited if name not in figures]:
        nearest = "".join(f" (nearest: `{name}`)" for name in get_close_matches(missing[0], figures, n=1))
        raise SlipwayError(
            f"`metric.limits` in config.yaml names `{missing[0]}`{nearest}, but the metric {function} returns only "
            f"`{'`, `'.join(figures)}`; correct the name of the limit, or let the function return this value, too"
        )
    return figures


def broken(values: Mapping[str, float], limits: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return a sentence for each limit that the metric's values, {name: value}, break; [] if no limit is broken.

    `limits` are {name: {"min", "max"}}, of which one may be missing.
    """
    problems = []
    for name, limit in limits.items():
        # NaN holds no limit.
        if not limit.get("min", -math.inf) <= values[name] <= limit.get("max", math.inf):
            between = " and ".join(f"{end} {readable(limit[end], 6)}" for end in ("min", "max") if end in limit)
            problems.append(f"{name} is {readable(values[name], 6)}, but must hold {between}")
    return problems


def in_words(values: Mapping[str, float]) -> str:
    """Return the metric's values, {name: value}, in words, such as "cosine 0.998, error 0.01"."""
    return ", ".join(f"{name} {readable(value, 6)}" for name, value in values.items())


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) or (getattr(value, "shape", None) == () and hasattr(value, "item"))
