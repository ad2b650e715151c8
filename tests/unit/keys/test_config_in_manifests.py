"""Texts of config.yaml that end in a manifest: Kubernetes or Docker would refuse them, so planning refuses them."""

import re

import jsonschema
import pytest
from helpers.artifacts.measured import cpu_target, gpu_target

from slipway.core.errors import SlipwayError
from slipway.keys.config import complete
from slipway.keys.config_schema import schema
from slipway.keys.manifest_validation import require_manifests

SHA256 = f"sha256:{64 * 'a'}"
IMAGE = "an image's name in lower case, without docker://, with an optional tag and an optional whole digest"
LABEL, KEY = "a label's value of at most 63 letters", "a name must be at most 63 letters"


def completed(**sections):
    return complete({"models": {"m": {}}, "targets": {"cpu": {}}, **sections})


def refusal(**sections):
    with pytest.raises(SlipwayError) as caught:
        completed(**sections)
    return str(caught.value)


# Those of the tests of github.com/distribution/reference and of the image that NVIDIA publishes.
@pytest.mark.parametrize(
    "image",
    [
        "nvcr.io/nvidia/tritonserver:26.07-py3",
        f"nvcr.io/nvidia/tritonserver:26.07-py3@{SHA256}",
        "test_com",
        "test.com:tag",
        "test.com:5000/repo:tag",
        f"test:5000/repo@{SHA256}",
        "[2001:db8::1]:5000/repo",
        "localhost:5000/a__b/c.d--e",
        "UPPER.example/lower",
        f"a@sha512:{128 * 'f'}",
        f"a:{128 * 't'}",
    ],
)
def test_names_of_images_are_taken(image):
    assert completed(triton={"image": image, "release": "26.07"})["triton"]["image"] == image


@pytest.mark.parametrize(
    "image",
    [
        "",
        ":justtag",
        f"@{SHA256}",
        "repo@sha256:" + 33 * "f",  # truncated when it was copied
        f"validname@invalidDigest:{128 * 'f'}",
        "Uppercase:tag",
        "test:5000/Uppercase/lowercase:tag",
        "a//b",
        "-a",
        "aa/asdf$$^/aa",
        "a:",
        "a: 1",
        f"a:{129 * 't'}",
        "docker://nvcr.io/nvidia/tritonserver",
        "https://nvcr.io/nvidia/tritonserver",
        "[fe80::1%eth0]:5000/repo",
        "nvcr.io/nvidia/tritonserver:26.07-py3\n",
    ],
)
@pytest.mark.parametrize("section", ["triton", "compose"])
def test_names_that_are_no_images_are_refused(section, image):
    told = f"is {image!r}, but must be {IMAGE}, such as registry.example.com/team/name:tag"
    if section == "triton":
        assert refusal(triton={"image": image}) == f"config: `triton.image` {told}"
    else:
        assert refusal(deploy={"compose": {"grafana_image": image}}) == f"config: `deploy.compose.grafana_image` {told}"


def test_the_image_of_jobs_is_held_to_the_same_names():
    told = refusal(container="docker://registry.example.com/Team/name")
    assert told.startswith(
        "config: `container` is 'docker://registry.example.com/Team/name', but 'registry.example.com/T"
    )
    assert told.endswith("such as docker://registry.example.com/team/name:tag")
    for image in (f"docker://registry.example.com/slipway@{SHA256}", "oras://Any/Thing", "Images/slipway.sif"):
        assert completed(container=image)["container"] == image


@pytest.mark.parametrize(
    "labels",
    [
        {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"},
        {"zone": ""},
        {"a_b.C-d": 63 * "a"},
        {f"{126 * 'a.'}a/{63 * 'n'}": "0"},
    ],
)
def test_labels_of_kubernetes_are_taken(labels):
    cluster = {"node_labels": {"cpu": labels}, "prometheus_operator_labels": labels}
    assert completed(deploy={"cluster": cluster})["deploy"]["cluster"]["node_labels"] == {"cpu": labels}


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("zone", "eu west", f".zone` is 'eu west', but must be {LABEL}"),
        ("zone", "-a", f".zone` is '-a', but must be {LABEL}"),
        ("zone", "a.", f".zone` is 'a.', but must be {LABEL}"),
        ("zone", "a/b", f".zone` is 'a/b', but must be {LABEL}"),
        ("zone", 64 * "a", f"', but must be {LABEL}"),
        ("zone", None, ".zone` is None, but must be text"),
        ("zone", True, f".zone` is True, but must be {LABEL}"),
        ("nvidia.com/gpu/product", "a", f"has the name 'nvidia.com/gpu/product', but {KEY}"),
        ("NVIDIA.com/gpu", "a", f"has the name 'NVIDIA.com/gpu', but {KEY}"),
        ("/gpu", "a", f"has the name '/gpu', but {KEY}"),
        ("gpu product", "a", f"has the name 'gpu product', but {KEY}"),
        ("", "a", f"has the name '', but {KEY}"),
        (64 * "a", "a", f"', but {KEY}"),
        (f"{126 * 'a.'}aa/b", "a", f"', but {KEY}"),
    ],
)
def test_labels_that_kubernetes_refuses_are_refused(key, value, told):
    for place, labels in (
        ("node_labels.cpu", {"node_labels": {"cpu": {key: value}}}),
        ("prometheus_operator_labels", {"prometheus_operator_labels": {key: value}}),
    ):
        message = refusal(deploy={"cluster": labels})
        assert message.startswith(f"config: `deploy.cluster.{place}")
        assert told in message


@pytest.mark.parametrize(
    ("cluster", "told"),
    [
        ({"namespace": "My_Team"}, "namespace` is 'My_Team', but must be a name of at most 63 lower-case letters"),
        ({"claim": "-a"}, "claim` is '-a', but must be a name of at most 63 lower-case letters"),
        ({"client_namespaces": ["a.b"]}, "client_namespaces.0` is 'a.b', but must be a name of at most 63 lower-case"),
        ({"claim_path": "/a"}, "claim_path` is '/a', but must be a path in the claim, without a leading slash"),
        ({"image_pull_secrets": ["a_b"]}, "image_pull_secrets.0` is 'a_b', but must be a name of lower-case letters"),
        (
            {"gpu_resources": {"cpu": "gpu"}},
            "gpu_resources.cpu` is 'gpu', but must be nvidia.com/gpu, aliyun.com/gpu-mem",
        ),
    ],
)
def test_names_that_kubernetes_refuses_are_refused_in_words(cluster, told):
    message = refusal(deploy={"cluster": cluster})
    assert message.startswith(f"config: `deploy.cluster.{told}")
    assert ", such as " in message


def test_secrets_may_be_named_as_a_registry():
    assert completed(deploy={"cluster": {"image_pull_secrets": ["registry.example.com"]}})


def test_the_machine_type_of_jobs_is_a_labels_value():
    targets = {"cpu": {"cluster": {"machine_type": "g2 standard"}}}
    assert f"`targets.cpu.cluster.machine_type` is 'g2 standard', but must be {LABEL}" in refusal(targets=targets)
    assert completed(targets={"cpu": {"cluster": {"machine_type": "Standard_NC24ads_A100_v4"}}})


def test_a_time_that_compose_would_not_read_is_refused():
    assert "`deploy.ready_timeout_s` is 1e-05, but must be" in refusal(deploy={"ready_timeout_s": 1e-5})


def texts(part, path=()):
    """Yield (dotted key, subschema) of every text in a part of the schema, also of the keys and values of a map."""
    part = schema()["$defs"].get(part.get("$ref", "").rpartition("/")[2], {}) | part
    if "string" in part.get("type", []):
        yield ".".join(path), part
    for name, below in part.get("properties", {}).items():
        yield from texts(below, (*path, name))
    for name in ("items", "additionalProperties", "propertyNames"):
        if isinstance(part.get(name), dict):
            yield from texts(part[name], (*path, name))


def test_no_text_of_a_manifest_is_without_a_form():
    triton, deploy = (schema()["properties"][name]["properties"] for name in ("triton", "deploy"))
    found = [*texts(triton["image"], ("image",)), *texts(deploy["cluster"]), *texts(deploy["compose"])]
    assert len(found) > 12
    formless = [key for key, part in found if not {"pattern", "enum"} & set(part)]
    assert formless == ["context"]  # no part of a manifest


def test_every_form_in_words_has_an_example_of_its_own():
    described = [
        part for part in [*schema()["$defs"].values(), *(part for _, part in texts(schema()))] if "title" in part
    ]
    assert len(described) > 6
    for part in described:
        for example in part["examples"]:
            jsonschema.Draft202012Validator(part | {"$defs": schema()["$defs"]}).validate(example)
            assert re.search(part["pattern"], example)


@pytest.mark.parametrize(
    ("to", "longest", "judge"), [("local", 46, "Kubernetes"), ("kserve", 46, "Kubernetes"), ("arena", 39, "Arena")]
)
def test_a_name_that_is_too_long_is_refused_before_anything_is_built(measured, to, longest, judge):
    target = "h" * 15
    found = measured(model="m" * (longest - 16), targets={target: gpu_target()}, deploy={"to": to})
    require_manifests(found.resolved(), found.model)
    model = "m" * (longest - 15)
    found = measured(model=model, targets={target: gpu_target()}, deploy={"to": to})
    with pytest.raises(SlipwayError) as caught:
        require_manifests(found.resolved(), model)
    assert str(caught.value) == (
        f"config: `models.{model}` on `targets.{target}`: the name {model}-{target} is longer than the {longest} "
        f"characters that {judge} leaves for it; shorten the model's or the target's name in config.yaml"
    )


def test_the_name_of_an_arena_release_is_as_long_as_helm_allows(measured):
    found = measured(model="m" * 35, targets={"cpu": cpu_target()}, deploy={"to": "arena"}).written()
    labels = found.one("arena.yaml", "Deployment")["metadata"]["labels"]
    assert len(labels["release"]) == 53
