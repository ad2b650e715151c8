"""What planning knows of the sources of networks, without their packages."""

import json

import pytest
from helpers.artifacts.configured import job_keys, resolved

from slipway.core.errors import SlipwayError
from slipway.keys.code_hash import CodeHashes
from slipway.keys.validation import require_users_packages
from slipway.models import sources
from slipway.models.source_interface import Source
from slipway.models.sources import SOURCES, source_name, source_named

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


@pytest.mark.parametrize(
    ("architecture", "name"),
    [
        ("resnet50", "torchvision"),
        ("timm:resnet18.a1_in1k", "timm"),
        ("transformers:BertForSequenceClassification", "transformers"),
        ("timm.models.resnet:resnet18", "factory"),
        ("my.package:make", "factory"),
    ],
)
def test_the_architecture_names_its_source_whose_code_is_in_the_key(architecture, name):
    assert source_name(architecture) == name
    listed = [
        file
        for file in CodeHashes().of_module(f"slipway.models.sources.{source_name(architecture)}")
        if "/sources/" in file
    ]
    assert f"scripts/slipway/models/sources/{name}.py" in listed
    others = {*SOURCES} - {name}
    assert not [file for file in listed if file.endswith(tuple(f"{other}.py" for other in others))]


def test_every_source_has_the_whole_interface_and_its_name():
    assert {*SOURCES} == {"torchvision", "timm", "transformers", "factory"}
    for name in SOURCES:
        source = source_named(name)
        assert isinstance(source, Source)
        assert source.title
        assert bool(source.name_patterns) == bool(source.written)


@pytest.mark.parametrize("forgotten", sorted(Source.__abstractmethods__))
def test_a_forgotten_method_of_a_source_is_told_by_its_name(forgotten, tmp_path, monkeypatch):
    methods = [f"    def {name}(self, *_): ..." for name in Source.__abstractmethods__ if name != forgotten]
    text = ["from slipway.models.source_interface import Source", "class Toy(Source):", *methods, "SOURCE = Toy()"]
    (tmp_path / f"without_{forgotten}.py").write_text("\n".join(text), encoding="utf-8")
    monkeypatch.setattr(sources, "__path__", [str(tmp_path)])
    with pytest.raises(SlipwayError, match=f"is not complete: .*{forgotten}"):
        source_named(f"without_{forgotten}")


def test_a_module_without_a_source_is_told(tmp_path, monkeypatch):
    (tmp_path / "empty_source.py").touch()
    monkeypatch.setattr(sources, "__path__", [str(tmp_path)])
    with pytest.raises(SlipwayError, match="no attribute 'SOURCE'"):
        source_named("empty_source")


@pytest.mark.parametrize("package", ["timm", "transformers"])
def test_a_missing_package_is_told_while_planning_with_the_command(package):
    with pytest.raises(SlipwayError, match=f"not installed here; .*: pip install {package}") as caught:
        resolved(models={"m": {"architecture": f"{package}:anything"}})
    assert "`models.m.architecture`" in str(caught.value)


def test_only_a_users_own_factory_needs_a_package_that_python_finds(monkeypatch):
    monkeypatch.setattr("slipway.keys.validation.require_installed", lambda *_: None)
    monkeypatch.setattr("slipway.keys.users_functions.find_users_module", lambda _: None)
    require_users_packages(resolved(models={"m": {"architecture": "timm:resnet18"}}))
    with pytest.raises(SlipwayError, match=r"`models\.m\.architecture` is nowhere\.networks:make, but Python finds no"):
        require_users_packages(resolved(models={"m": {"architecture": "nowhere.networks:make"}}))


def fields(folder, monkeypatch, **arguments):
    """Return the arguments in the key of a model of transformers."""
    monkeypatch.setattr("slipway.keys.validation.require_installed", lambda *_: None)
    model = {"architecture": "transformers:BertModel", "arguments": {"config": str(folder), **arguments}}
    return json.loads(job_keys(models={"m": model}).fetch_weights("m")["arguments"])


def test_a_configuration_of_transformers_is_in_the_key_by_its_fields_and_overridden_by_arguments(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text('{"hidden_size": 32, "num_labels": 2}', encoding="utf-8")
    assert fields(tmp_path, monkeypatch, num_labels=4) == {"hidden_size": 32, "num_labels": 4}


@pytest.mark.parametrize(("content", "problem"), [("{", "cannot be read"), ("[1]", "holds no JSON object")])
def test_a_configuration_that_cannot_be_read_is_told_while_planning(tmp_path, monkeypatch, content, problem):
    (tmp_path / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(SlipwayError, match=rf"`models\.m\.arguments`: .*config\.json {problem}"):
        fields(tmp_path, monkeypatch)


def test_a_preprocessing_that_only_timm_knows_is_found_by_the_first_job(monkeypatch):
    monkeypatch.setattr("slipway.keys.validation.require_installed", lambda *_: None)
    model = {"architecture": "timm:test_vit", "preprocess": {"resize": 180}}
    key = job_keys(models={"m": model}).sample_inputs("m")
    assert [key[name] for name in ("crop", "mean", "std", "interpolation")] == [None] * 4
    assert (key["resize"], key["architecture"]) == (180, "timm:test_vit")
