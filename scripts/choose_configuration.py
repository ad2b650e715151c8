"""Choose the configuration to serve: of the measured configurations within the limits, the best one by the goal."""

import argparse

from slipway.core.artifacts import read_json, sha256, write_json
from slipway.core.cli import parser, progress, run
from slipway.core.job_settings import settings_of
from slipway.load_test.accuracy_loss import accuracy_loss, proven_rows, read_accuracy
from slipway.load_test.capacities import of_choice, with_capacities, without_capacity
from slipway.load_test.decision import decide
from slipway.load_test.goals import CONFIGURATION, Goal, add_choice, limits_of
from slipway.load_test.limits import gaps_in_words, left_out_in_words
from slipway.load_test.selection_words import in_words
from slipway.triton.server.kinds import why_another


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the command-line options."""
    arguments = parser(__doc__, "load_test", "output", capacity="capacities of the fastest configurations (.json)")
    add_choice(arguments)
    arguments.add_argument("--rate", type=float, help="inferences/s of all servers, for which they are counted")
    free = "share of each server's throughput that stays free at this rate"
    arguments.add_argument("--headroom", type=float, help=free)
    arguments.add_argument("--serving-image", help="container that serves elsewhere than on this machine")
    arguments.add_argument("--serving-release", help="Triton release in it")
    arguments.add_argument("--price-per-hour", type=float, help="price of one server, in any currency")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Choose the best configuration among the measurements, and write the choice with its reason."""
    tested, capacities = read_json(arguments.load_test), read_json(arguments.capacity)
    proven = read_accuracy(arguments.accuracy)
    closed_loop = proven_rows(tested["measurements"], proven)
    rows = with_capacities(closed_loop, capacities, sha256(arguments.load_test))
    goal = Goal(arguments.goal, arguments.rate, arguments.price_per_hour, arguments.headroom or 0.0)
    decision = decide(rows, limits_of(arguments), goal)
    choice, second, measured = decision.choice, decision.second, of_choice(decision.choice, decision.limited)
    left_out, missing = tested["left_out"], tested["not_measured"]
    another = why_another(tested["server"], arguments.serving_image, arguments.serving_release)
    gap = gaps_in_words(missing, [], tested["minutes"])
    sentences = [in_words(decision), *map(left_out_in_words, left_out), measured["words"] if measured else None]
    words = "; ".join(filter(None, [*sentences, gap, another]))
    precision = choice["precision"]
    record = {
        "origin": tested["origin"],
        "key": settings_of(arguments),
        **{name: choice[name] for name in CONFIGURATION if name in choice},
        "measured": {name: value for name, value in without_capacity(choice).items() if name != "accuracy_loss"},
        "capacity": measured,
        # The options were measured together with the capacities.
        "serving_options": capacities["serving_options"] if measured else {},
        "limits": vars(decision.limits),
        "goal": vars(goal) | {"cost_at": "rate" if goal.rate else "own throughput"},
        "accuracy_limits": proven[precision]["limits"],
        "accuracy_loss": {precision: accuracy_loss(record) for precision, record in proven.items()},
        "proven_on_labels": proven[precision]["proven_on_labels"],
        "reason": words,
        "server": tested["server"] | {"another_serves": another},
        "certainty": {"verdict": decision.certainty, "runner_up": None if second is None else rows.index(second)},
        "candidates": decision.candidates(),
        "left_out": left_out,
        "not_measured": missing,
        "chosen_from": {
            "measurements": len(rows),
            "load_test_sha256": sha256(arguments.load_test),
            "capacity_sha256": sha256(arguments.capacity),
        },
    }
    write_json(arguments.output, record)
    progress(f"  {words}")


if __name__ == "__main__":
    run(main, parse_arguments())
