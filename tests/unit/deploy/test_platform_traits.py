"""What each platform states of itself, and what is told where it does not."""

import dataclasses
import json

import pytest
from helpers.artifacts.configured import WITH_BF16, job_keys

import write_manifests
from slipway.core.errors import SlipwayError
from slipway.core.traits import read_traits
from slipway.deploy.platform import OPERATIONS, kind_of
from slipway.deploy.platforms import PLATFORMS
from slipway.deploy.platforms.traits import PlatformTraits

STATED = {
    "files": ("toy.yaml",),
    "manifests": "slipway.manifests.toy:files",
    "deployment": "slipway.deploy.toy:Toy",
    "on_this_machine": False,
    "together": False,
}


@pytest.fixture
def state(tmp_path):
    """Return a function that reads a platform's file with some statements."""

    def written(**statements):
        (tmp_path / "toy.json").write_text(json.dumps(statements), encoding="utf-8")
        return read_traits(tmp_path / "toy.json", "toy", PlatformTraits)

    return written


@pytest.fixture
def add(monkeypatch):
    """Return a function that adds a platform with some statements."""
    return lambda **changes: monkeypatch.setitem(PLATFORMS, "toy", PlatformTraits(name="toy", **STATED | changes))


def test_all_facts_are_stated_here():
    assert {"name", *STATED} == {field.name for field in dataclasses.fields(PlatformTraits)}


def test_what_is_stated_is_found(state):
    assert state(**STATED) == PlatformTraits(name="toy", **STATED)


@pytest.mark.parametrize("forgotten", STATED)
def test_a_forgotten_statement_is_told_by_its_name(state, forgotten):
    with pytest.raises(SlipwayError, match=rf"toy\.json does not state the traits of toy.*'{forgotten}'"):
        state(**{name: value for name, value in STATED.items() if name != forgotten})


def test_a_module_that_does_not_exist_is_told(add, tmp_path):
    add()
    with pytest.raises(SlipwayError, match=r"toy states slipway\.deploy\.toy:Toy, which cannot be imported"):
        kind_of("toy")


def test_a_platform_without_manifests_is_told(add, measured):
    found = measured().measure()
    arguments = found.arguments()
    add()
    with pytest.raises(SlipwayError, match=r"toy states slipway\.manifests\.toy:files, which cannot be imported"):
        write_manifests.main(arguments)
    assert not found.path("deploy").exists()


@pytest.mark.parametrize("forgotten", OPERATIONS)
def test_a_forgotten_operation_is_told_by_its_name(add, monkeypatch, tmp_path, forgotten):
    kind = type("Toy", (), dict.fromkeys(set(OPERATIONS) - {forgotten}))
    monkeypatch.setattr("slipway.deploy.commands.Toy", kind, raising=False)
    add(deployment="slipway.deploy.commands:Toy")
    with pytest.raises(SlipwayError, match=f"commands:Toy has no `{forgotten}`"):
        kind_of("toy")


def test_manifests_that_are_not_those_that_are_stated_are_told(measured, monkeypatch):
    compose = dataclasses.replace(PLATFORMS["compose"], files=("compose.yaml", "more.yaml"))
    monkeypatch.setitem(PLATFORMS, "compose", compose)
    with pytest.raises(
        SlipwayError, match=r"compose states the manifests compose\.yaml, more\.yaml, but .* makes compose\.yaml"
    ):
        measured().written()


@pytest.mark.usefixtures("in_an_empty_folder")
@pytest.mark.parametrize("name", PLATFORMS)
def test_a_deployment_is_keyed_on_its_platform_and_on_no_other(name):
    found = job_keys({"cpu": {"hardware": WITH_BF16}}, deploy={"to": name}).deploy_release()["code"]
    statements = {f"{platform}.json" for platform in PLATFORMS}
    listed = [file.rsplit("/", 1)[-1] for file in found if "/deploy/platforms/" in file]
    assert statements & set(listed) == {f"{name}.json"}
    assert f"scripts/slipway/deploy/{PLATFORMS[name].deployment.partition(':')[0].rsplit('.', 1)[-1]}.py" in found


@pytest.mark.usefixtures("in_an_empty_folder")
def test_manifests_are_keyed_on_what_makes_each_platforms():
    found = job_keys().write_manifests()["code"]
    makers = [traits.manifests.partition(":")[0] for traits in PLATFORMS.values() if traits.files]
    assert {f"scripts/{module.replace('.', '/')}.py" for module in makers} <= set(found)
    assert not [file for file in found if "/cluster/" in file], "what deploys makes no manifest stale"
