"""A toy runtime, platform and source are added by their places alone, and go from config.yaml to what they make.

A runtime is its folder and its pins; a platform its traits, its manifests and its deployment; a source one module.
"""

import shutil

import pytest
import yaml
from helpers.programs import fake_docker
from helpers.workplace import NOT_BY_ENVIRONMENT, REPOSITORY, WEIGHTS, Workplace, random_checkpoint

from slipway.core.artifacts import read_json
from slipway.runtimes import FOLDER
from slipway.triton.repository.model_config import read_config

pytestmark = [pytest.mark.slow, pytest.mark.long]

TRAITS = """{
  "title": "Toy Runtime",
  "package": "onnxruntime-gpu",
  "serving_package": "onnxruntime",
  "hardware": "cpu",
  "precisions": ["fp32"],
  "newest_opset": 20,
  "suffixes": [".toy"],
  "engine_file": "model.toy",
  "native_backend": {"name": "toy_backend", "kserve_format": "toy-format", "parameters": {"TOYS": "3"}}
}
"""
# Compose under another name.
PLATFORM = {
    "deploy/platforms/toy.json": """{
  "files": ["toy.yaml"],
  "manifests": "slipway.manifests.toy:files",
  "deployment": "slipway.deploy.toy:Toy",
  "on_this_machine": true,
  "together": false
}
""",
    "manifests/toy.py": """
from slipway.manifests import compose


def files(fleet):
    return {"toy.yaml": compose.files(fleet)["compose.yaml"]}
""",
    "deploy/toy.py": """
from slipway.deploy.compose import Compose


class Toy(Compose):
    pass
""",
}
SOURCE = """
from functools import partial

from slipway.models.source_interface import Source


class Toys(Source):
    title = "Toy Networks"

    def factory(self, architecture):
        from torchvision.models import get_model

        return partial(get_model, architecture.partition(":")[2], weights=None)

    def named_weights(self, architecture, name):
        return None

    def notes(self, architecture, arguments, published):
        return ["a toy's network"]


SOURCE = Toys()
"""
ENGINE = "results/tiny/cpu/tiny.fp32.engine.json"
ACCURACY = "results/tiny/cpu/tiny.fp32.accuracy.json"
RECEIPT = "results/tiny/deploy/receipt.toy.json"


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Return a copy of the workflow's files, with the toys."""
    folder = tmp_path_factory.mktemp("with_toys")
    for name in ("scripts", "rules", "schemas", "envs", "profiles"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "Snakefile", folder)
    toy = folder / FOLDER.relative_to(REPOSITORY) / "toy"
    toy.mkdir()
    # It runs engines as ONNX Runtime does.
    shutil.copy(FOLDER / "onnxruntime" / "__init__.py", toy)
    (toy / "traits.json").write_text(TRAITS, encoding="utf-8")
    for name, text in {**PLATFORM, "models/sources/toy.py": SOURCE}.items():
        (folder / "scripts" / "slipway" / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def made(good_run, repository, tmp_path_factory):
    """Return a folder in which the toy's engine was built, proven, measured in a server, and deployed to the toy."""
    place = good_run.copied(tmp_path_factory.mktemp("toys"))
    place.repository = repository
    place.config["targets"]["cpu"]["runtime"] = "toy"
    place.config["triton"] = {"release": "26.08"}
    place.config["deploy"]["to"] = "toy"
    # A sampler of memory has to see the server, which answers a few requests in less time than it sleeps.
    place.config["load_test"] |= {"requests": 200, "p99_limit_ms": 10_000}
    place.write_config()
    place.path("programs").mkdir()
    place.with_docker = fake_docker.install(place.path("programs"))
    place.snakemake(*NOT_BY_ENVIRONMENT, "--", ACCURACY, RECEIPT, **place.with_docker).succeeded()
    yield place
    place.snakemake("undeploy", **place.with_docker)


def test_the_runtimes_engine_is_built_by_its_own_rule_and_answers_as_pytorch_does(made):
    assert made.path("logs/tiny/cpu/build_toy.fp32.log").is_file()
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


def test_kserve_is_told_the_runtimes_format(made):
    objects = list(yaml.safe_load_all(made.path("results/tiny/deploy/kserve.yaml").read_text(encoding="utf-8")))
    service = next(found for found in objects if found["kind"] == "InferenceService")
    assert service["spec"]["predictor"]["model"]["modelFormat"]["name"] == "toy-format"


def test_an_edit_of_the_runtime_makes_its_engine_stale_and_names_the_file(made, repository):
    traits = repository / FOLDER.relative_to(REPOSITORY) / "toy" / "traits.json"
    traits.write_text(TRAITS.replace("model.toy", "model.toys"), encoding="utf-8")
    said = made.snakemake("-n", *NOT_BY_ENVIRONMENT, "--", ENGINE).succeeded().said
    traits.write_text(TRAITS, encoding="utf-8")
    assert "scripts/slipway/runtimes/toy/traits.json edited" in said


def test_the_platforms_manifest_is_written_and_deployed(made):
    assert made.path("results/tiny/deploy/toy.yaml").is_file()
    receipt = read_json(made.path(RECEIPT))
    assert (receipt["to"], receipt["targets"]["cpu"]["smoke_test"]["agreement"]["top1_agreement"]) == ("toy", 1.0)
    said = made.snakemake("status", **made.with_docker).succeeded().said
    assert "toy" in said


@pytest.mark.parametrize("key", ["targets.cpu.runtime", "deploy.to"])
def test_a_mistake_is_answered_with_the_toys_too(made, key):
    made.configure(key, "no_toy")
    try:
        made.snakemake("-n", "manifests").refused(f"`{key}` is 'no_toy', but must be one of", ", toy")
    finally:
        made.configure(key, "toy")


def test_what_was_deployed_to_the_platform_is_taken_away(made):
    made.snakemake("undeploy", **made.with_docker).succeeded()
    assert not made.path(RECEIPT).exists()


@pytest.fixture(scope="module")
def toy_network(repository, tmp_path_factory):
    """Return a folder whose model is a network of the toy source, with its weights taken."""
    place = Workplace(tmp_path_factory.mktemp("toy_network"), repository=repository)
    random_checkpoint(place.path("good.pth"), seed=1)
    place.configure("models.tiny.architecture", "toy:squeezenet1_1")
    place.snakemake(WEIGHTS).succeeded()
    return place


def test_a_network_of_the_source_is_made_and_its_weights_are_taken(toy_network):
    record = read_json(toy_network.path("results/tiny/weights.json"))
    assert (record["architecture"], record["origin"]) == ("toy:squeezenet1_1", "checkpoint")
    assert record["notes"][-1] == "a toy's network"


def test_an_edit_of_the_source_makes_its_networks_stale_and_names_the_file(toy_network, repository):
    module = repository / "scripts" / "slipway" / "models" / "sources" / "toy.py"
    module.write_text(SOURCE.replace("weights=None", "weights=None, progress=False"), encoding="utf-8")
    said = toy_network.snakemake("-n", WEIGHTS).succeeded().said
    module.write_text(SOURCE, encoding="utf-8")
    assert "scripts/slipway/models/sources/toy.py edited" in said


def test_a_forgotten_method_of_the_source_is_told_while_planning(toy_network, repository):
    module = repository / "scripts" / "slipway" / "models" / "sources" / "toy.py"
    module.write_text(SOURCE.replace("def named_weights", "def weights_named"), encoding="utf-8")
    outcome = toy_network.snakemake("-n", WEIGHTS)
    module.write_text(SOURCE, encoding="utf-8")
    outcome.refused("the source toy in", "is not complete", "named_weights")
