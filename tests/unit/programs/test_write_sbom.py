"""The bill of materials: what CycloneDX's own validator says of it, what is on it, and what decides its bytes."""

import json
import shlex
from importlib import metadata

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from helpers.artifacts.measured import DIGEST, L4, gpu_target
from helpers.models.classifier_contract import classifier

from slipway.core.artifacts import read_json, write_json
from slipway.core.errors import SlipwayError
from slipway.core.package_versions import ABSENT, package_version
from slipway.core.packages import SERVING, required_packages
from slipway.core.serving_environment import serving_version
from slipway.keys.job_keys import JobKeys
from write_manifests import main as write_manifests
from write_sbom import main, parse_arguments

WEIGHTS, ONNX, ENGINE, LABELS = ("cd" * 32, "0a" * 32, "0b" * 32, "0c" * 32)


@pytest.fixture
def billed(measured):
    """Return a function that measures a model, writes its manifests and its bill, and returns folder and bill."""

    def write(**settings):
        found = measured(**settings).measure()
        for target in found.targets:
            complete_index(found.path(f"{target}/repository.json"))
        write_manifests(found.arguments())
        main(arguments(found))
        return found, json.loads(found.text("sbom.cdx.json"))

    return write


def complete_index(path):
    index = read_json(path)
    index["chain"] |= {"onnx_sha256": ONNX, "engine_files": {"resnet50.fp16.trt": ENGINE}}
    index["engine_key"] |= {"cuda": "cu13"}
    index["contract"] = classifier("float32", 224, 1000).record()
    index["files"] = {"1/model.plan": ENGINE, "labels.txt": LABELS}
    write_json(path, index)


def arguments(found):
    """Return the program's options, as the rule gives them."""
    weights = {"sha256": WEIGHTS, "architecture": "resnet50", "arguments": {}, "origin": found.origin}
    write_json(found.path("weights.json"), weights)
    onnx = {"sha256": ONNX, "variant": "fp16", "opset": 20}
    write_json(found.path("resnet50.fp16.onnx.json"), onnx)
    resolved = found.resolved()
    settings = JobKeys(resolved).write_sbom()
    settings.pop("code")
    options = ["--indexes", *(str(found.path(f"{target}/repository.json")) for target in resolved.fleet)]
    options += ["--onnx-records", str(found.path("resnet50.fp16.onnx.json")), "--model", found.model]
    options += ["--weights-record", str(found.path("weights.json"))]
    options += ["--manifests", str(found.path("deploy/manifests.json"))]
    options += ["--output", str(found.path("deploy/sbom.cdx.json"))]
    return parse_arguments([*options, *shlex.split(str(settings))])


def named(bill, name):
    [found] = [each for each in bill["components"] if each["name"] == name]
    return found


def needs(bill, ref):
    """Return everything that a component needs, whatever lies between."""
    graph = {each["ref"]: each.get("dependsOn", []) for each in bill["dependencies"]}
    found, left = set(), [ref]
    while left:
        new = set(graph[left.pop()]) - found
        found |= new
        left += new
    return found


def test_cyclonedxs_own_validator_takes_it(billed):
    found, bill = billed(targets={"h100": gpu_target(), "l4": gpu_target(L4)})
    text = found.text("sbom.cdx.json")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert bill["specVersion"] == "1.6"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text.replace("SHA-256", "SHA-0")) is not None


def test_model_weights_onnx_engine_and_served_files_are_there_by_their_hashes(billed):
    _, bill = billed()
    model = named(bill, "resnet50")
    assert model["type"] == "machine-learning-model"
    told = {each["name"]: each["value"] for each in model["properties"]}
    assert (told["slipway:architecture"], told["slipway:origin"]) == ("resnet50", "checkpoint")
    told = {each["name"]: json.loads(each["value"]) for each in named(bill, "fp16.onnx")["properties"][:1]}
    assert told == {"slipway:inputs": ["input float32 (batch, 3, 224, 224)"]}
    hashes = {each["name"]: each["hashes"][0] for each in bill["components"] if each.get("hashes")}
    expected = {
        "weights.safetensors": WEIGHTS,
        "fp16.onnx": ONNX,
        "h100/resnet50.fp16.trt": ENGINE,
        "h100/repository/resnet50_trt/1/model.plan": ENGINE,
        "h100/repository/resnet50_trt/labels.txt": LABELS,
    }
    for name, digest in expected.items():
        assert hashes[name] == {"alg": "SHA-256", "content": digest}, name


def test_everything_is_reached_from_the_deployment_and_the_engine_from_what_it_was_made_of(billed):
    _, bill = billed()
    whole = needs(bill, bill["metadata"]["component"]["bom-ref"])
    assert {each["bom-ref"] for each in bill["components"]} == whole
    plan = named(bill, "h100/repository/resnet50_trt/1/model.plan")["bom-ref"]
    for name in ("h100/resnet50.fp16.trt", "fp16.onnx", "weights.safetensors", "safetensors"):
        assert named(bill, name)["bom-ref"] in needs(bill, plan), name
    runtime = named(bill, "tensorrt")
    assert runtime["bom-ref"] in needs(bill, plan)
    assert runtime["version"] == "11.2.1.2"
    assert {"name": "slipway:cuda", "value": "cu13"} in runtime["properties"]


def test_the_image_is_named_by_its_digest_where_that_is_known(billed):
    image = named(billed()[1], "nvcr.io/nvidia/tritonserver")
    digest = DIGEST.rpartition("sha256:")[2]
    assert image["purl"].startswith(f"pkg:oci/tritonserver@sha256:{digest}?")
    assert "tag=26.08-py3" in image["purl"]
    assert image["hashes"] == [{"alg": "SHA-256", "content": digest}]


@pytest.mark.parametrize(
    ("image", "url"),
    [
        ("mine", "pkg:oci/mine?repository_url=mine"),
        ("localhost:5000/a/mine:1", "pkg:oci/mine?repository_url=localhost:5000/a/mine&tag=1"),
    ],
)
def test_an_image_without_a_digest_has_its_tag_alone(billed, image, url):
    _, bill = billed(triton={"release": "26.08", "image": image})
    [found] = [each for each in bill["components"] if each["type"] == "container"]
    assert found["purl"].replace("%3A", ":").replace("%2F", "/") == url
    assert "hashes" not in found


def test_the_packages_are_those_that_slipway_asks_for(billed):
    _, bill = billed()
    listed = {(each["name"], each["version"]) for each in bill["components"] if each["type"] == "library"}
    assert {"tritonclient", "snakemake", "cyclonedx-python-lib"} <= set(dict(listed))
    building = {(name, metadata.version(name)) for name in required_packages() if package_version(name) != ABSENT}
    serving = {(name, serving_version(name)) for name in required_packages(SERVING)}
    assert listed == building | serving
    assert {name for name, _ in serving - building} == {"numpy", "nvidia-pytriton", "onnxruntime", "tritonclient"}


def test_the_same_artifacts_give_the_same_bytes_and_others_another_number(billed):
    found, bill = billed()
    text = found.text("sbom.cdx.json")
    main(arguments(found))
    assert found.text("sbom.cdx.json") == text
    assert "timestamp" not in text
    _, other = billed(triton={"release": "26.08", "image": "mine:2"})
    assert other["serialNumber"] != bill["serialNumber"]


def test_the_bill_of_random_weights_says_so(billed):
    _, bill = billed(origin="rehearsal")
    assert {"name": "slipway:origin", "value": "rehearsal"} in named(bill, "resnet50")["properties"]


def test_what_does_not_belong_together_is_refused(billed):
    found, _ = billed()
    given = arguments(found)
    write_json(found.path("weights.json"), read_json(found.path("weights.json")) | {"sha256": "ff" * 32})
    with pytest.raises(SlipwayError, match="made from other weights"):
        main(given)
    given = arguments(found)
    given.onnx_records = []
    with pytest.raises(SlipwayError, match="an ONNX file that is not here any more"):
        main(given)
    given = arguments(found)
    given.packages = ["jsonschema==0.1"]
    with pytest.raises(SlipwayError, match=r"planned for jsonschema 0\.1"):
        main(given)
