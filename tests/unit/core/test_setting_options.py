"""Options of programs are the settings of config.yaml, as its schema describes them."""

import argparse

import pytest

from slipway.core.setting_options import add_settings
from slipway.keys.config import complete


@pytest.fixture
def parse():
    """Return a function that reads options of the load test."""
    arguments = argparse.ArgumentParser()
    names = ("concurrency", "search", "requests", "stability_percent", "minutes", "p99_limit_ms", "goal")
    add_settings(arguments, "load_test", *names)
    return lambda *given: vars(arguments.parse_args(given))


def test_options_have_the_defaults_of_config_yaml_and_null_is_none(parse):
    settings = complete({"models": {"m": {}}, "targets": {"t": {}}})["load_test"]
    stated = parse()
    assert stated == {name: settings[name] for name in stated} | {"minutes": None, "p99_limit_ms": None}


def test_options_have_the_types_of_the_schema(parse):
    stated = parse("--concurrency", "1", "8", "--requests", "40", "--minutes", "0.5", "--goal", "fastest")
    assert stated["concurrency"] == [1, 8]
    assert (stated["requests"], stated["minutes"], stated["goal"]) == (40, 0.5, "fastest")
    assert isinstance(parse("--stability-percent", "5")["stability_percent"], float)
    assert isinstance(parse("--requests", "5")["requests"], int)


@pytest.mark.parametrize("given", [("--goal", "best"), ("--requests", "many"), ("--concurrency", "0.5")])
def test_other_values_are_refused_and_the_option_is_named(parse, given, capsys):
    with pytest.raises(SystemExit):
        parse(*given)
    assert given[0] in capsys.readouterr().err
