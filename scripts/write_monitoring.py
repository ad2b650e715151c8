"""Write a model's Prometheus rules and Grafana dashboard, with limits from the figures of the load test."""

import argparse

import yaml

from slipway.core.artifacts import write_json, write_text
from slipway.core.cli import parser, progress, run
from slipway.core.setting_options import add_settings
from slipway.monitoring.dashboard import dashboard
from slipway.monitoring.rules import rule_file
from slipway.monitoring.slo import read_slowest


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line.

    `selections` and `indexes` are lists with one entry for each target, in the same order.
    """
    arguments = parser(__doc__, "selections", "indexes", rules="Prometheus' rules", dashboard="Grafana's dashboard")
    add_settings(arguments, "deploy", "headroom")
    return arguments.parse_args(argv)


def main(arguments: argparse.Namespace) -> None:
    """Write the Prometheus rules and the dashboard. The same selections and indexes give the same bytes."""
    slo = read_slowest(arguments.selections, arguments.indexes, arguments.headroom)
    rules = rule_file(slo)
    write_text(arguments.rules, yaml.safe_dump(rules, width=120, allow_unicode=True))
    write_json(arguments.dashboard, dashboard(slo))
    alerts = sum("alert" in rule for group in rules["groups"] for rule in group["rules"])
    progress(f"  {slo.model}: {alerts} alerts; p99 above {slo.p99_alert_ms:g} ms is slower than promised")
    if slo.is_disturbed:
        progress(f"  WARNING: other work disturbed the measurement of {slo.model} from which the alerts take their p99")


if __name__ == "__main__":
    run(main, parse_arguments())
