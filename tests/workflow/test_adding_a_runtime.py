"""A runtime is its folder, its rule and its pins: with no more, a toy one goes from config.yaml to the manifests."""

import shutil

import pytest
import yaml
from helpers.workplace import NOT_BY_ENVIRONMENT, REPOSITORY, Workplace

from slipway.core.artifacts import read_json
from slipway.runtimes import FOLDER
from slipway.triton.repository.model_config import read_config

pytestmark = pytest.mark.slow

TRAITS = """
from slipway.runtimes.traits import NativeBackend, RuntimeTraits

TRAITS = RuntimeTraits(
    name="toy",
    title="Toy Runtime",
    package="onnxruntime-gpu",
    hardware="cpu",
    precisions=("fp32",),
    newest_opset=20,
    suffixes=(".toy",),
    engine_file="model.toy",
    native_backend=NativeBackend(name="toy_backend", kserve_format="toy-format", parameters={"TOYS": "3"}),
)
"""
RULE = """

use rule build_openvino as build_toy with:
    output:
        engine=update("results/{model}/{target}/{model}.{precision}.toy"),
        record=update("results/{model}/{target}/{model}.{precision}.engine.json"),
    wildcard_constraints:
        target=one_of(resolved.targets_of("toy")),
"""
ENGINE = "results/tiny/cpu/tiny.fp32.engine.json"
ACCURACY = "results/tiny/cpu/tiny.fp32.accuracy.json"


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Return a copy of what the workflow is made of, to which a runtime's folder was added; its rule was not."""
    folder = tmp_path_factory.mktemp("with_a_toy")
    for name in ("scripts", "rules", "schemas", "envs", "profiles"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "Snakefile", folder)
    toy = folder / FOLDER.relative_to(REPOSITORY) / "toy"
    toy.mkdir()
    # It runs engines as ONNX Runtime does.
    shutil.copy(FOLDER / "onnxruntime" / "__init__.py", toy)
    (toy / "traits.py").write_text(TRAITS, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def made(good_run, repository, tmp_path_factory):
    """Return a folder in which the toy's engine was built, proven, measured in a server, and its manifests written."""
    place = Workplace(good_run.copied(tmp_path_factory.mktemp("toy")).folder, good_run.config, repository)
    place.config["targets"]["cpu"]["runtime"] = "toy"
    place.config["triton"] = {"release": "26.08"}
    place.config["deploy"]["to"] = "kserve"
    # A sampler of memory has to see the server, which answers a few requests in less time than it sleeps.
    place.config["load_test"]["requests"] = 200
    place.write_config()
    place.without_rule = place.snakemake("-n", "manifests")
    engines = repository / "rules" / "engine.smk"
    engines.write_text(engines.read_text(encoding="utf-8") + RULE, encoding="utf-8")
    place.first_words = place.snakemake(*NOT_BY_ENVIRONMENT, "--", ACCURACY, "manifests").succeeded().said
    return place


def test_a_forgotten_rule_is_told_by_its_name(made):
    made.without_rule.refused("the runtime toy has no rule `build_toy`")


def test_its_engine_is_built_and_answers_as_pytorch_does(made):
    assert read_json(made.path(ENGINE))["key"]["runtime"] == "toy"
    assert list(read_json(made.path(ENGINE))["files"]) == ["tiny.fp32.toy"]
    assert read_json(made.path(ACCURACY))["sample"]["relative_error"] < 1e-3


def test_it_is_served_by_the_python_backend_and_configured_for_its_own(made):
    model = made.path("results/tiny/cpu/repository/tiny_trt")
    native = read_config(model / "config.pbtxt")
    assert (native.backend, native.default_model_filename) == ("toy_backend", "model.toy")
    assert native.parameters["TOYS"].string_value == "3"
    assert read_config(model / "configs" / "python.pbtxt").backend == "python"
    assert (model / "1" / "model.toy").is_file()
    assert [path.name for path in (model / "1" / "engine").iterdir()] == ["__init__.py"], "its traits stay here"


def test_kserve_is_told_its_format(made):
    objects = list(yaml.safe_load_all(made.path("results/tiny/deploy/kserve.yaml").read_text(encoding="utf-8")))
    service = next(found for found in objects if found["kind"] == "InferenceService")
    assert service["spec"]["predictor"]["model"]["modelFormat"]["name"] == "toy-format"


def test_its_edit_makes_its_engine_stale_and_names_the_file(made, repository):
    traits = repository / FOLDER.relative_to(REPOSITORY) / "toy" / "traits.py"
    traits.write_text(TRAITS.replace("model.toy", "model.toys"), encoding="utf-8")
    said = made.snakemake("-n", *NOT_BY_ENVIRONMENT, "--", ENGINE).succeeded().said
    traits.write_text(TRAITS, encoding="utf-8")
    assert "scripts/slipway/runtimes/toy/traits.py edited" in said


def test_it_is_among_the_runtimes_that_a_mistake_is_answered_with(made):
    made.configure("targets.cpu.runtime", "no_toy")
    try:
        made.snakemake("-n", "manifests").refused("`targets.cpu.runtime` is 'no_toy'", "toy")
    finally:
        made.configure("targets.cpu.runtime", "toy")
