"""docs/artifacts.md is the workflow: each artifact with its rule, program, key and test, under one name."""

import pytest
from helpers.workplace import REPOSITORY

import list_artifacts


def expected_program(rule):
    """Return the program that has the rule's name."""
    if rule.name.startswith("build_"):
        return "build_engine"
    return {"deploy_release": "deploy", "withdraw": "undeploy"}.get(rule.name, rule.name)


@pytest.fixture(scope="module")
def rules():
    return list_artifacts.rules()


def test_the_page_is_that_of_the_workflow(rules):
    written = (REPOSITORY / "docs" / "artifacts.md").read_text(encoding="utf-8")
    assert written == list_artifacts.page(rules), "`make artifacts` writes it anew"


def test_rule_program_and_key_have_one_name(rules):
    assert len(rules) > 25
    for rule in rules:
        assert rule.program == expected_program(rule), rule
        key = "build_engine" if rule.name.startswith("build_") else rule.name
        assert rule.key_method == (key if rule.outputs else None), rule


def test_each_rule_and_each_other_program_has_a_test_of_its_name(rules):
    assert [rule.name for rule in rules if rule.test is None] == []
    others = list_artifacts.programs_without_rule(rules)
    assert [name for name in others if list_artifacts.Rule("", (), name, None).test is None] == []


def test_the_programs_that_no_rule_runs_are_these(rules):
    assert list_artifacts.programs_without_rule(rules) == ["infer", "new_model", "predict", "tensorrt_worker"]


def test_each_key_has_a_rule(rules):
    assert {rule.key_method for rule in rules} - {None} == set(list_artifacts.key_names())


def test_a_rule_of_another_name_than_its_program_is_seen():
    rule = list_artifacts.Rule("load_test", ("results/{model,m}/x.json",), "benchmark", "benchmark")
    assert rule.program != expected_program(rule)
    assert "`<model>/x.json`" in list_artifacts.page([rule])
