"""What speaks against a deployment, what is refused, and where each value of the written files came from."""

import re
import subprocess

import pytest
import yaml
from helpers.artifacts.measured import DIGEST, FILES, L4, container, cpu_target, gpu_target, pod

from slipway.core.artifacts import read_json, sha256, write_json
from slipway.core.errors import SlipwayError
from slipway.keys.config import complete
from slipway.keys.server_validation import require_servers
from slipway.manifests.kubernetes import kserve_objects
from slipway.manifests.names import LONGEST, label
from slipway.triton.server.releases import image_of, newest
from write_manifests import main

OWN = "mine@" + DIGEST.rpartition("@")[2]

# What speaks against it


def test_a_pinned_new_release_that_was_verified_has_no_warning(measured, capfd):
    found = measured().written()
    assert found.record()["warnings"] == {"h100": []}
    assert "WARNING" not in capfd.readouterr().err
    assert "slipway/warnings" not in found.text("kubernetes.yaml")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"triton": {"release": "26.06", "oldest": "26.06", "image": OWN}},
            "Triton 26.06 has known vulnerabilities, which `triton.oldest` accepts",
        ),
        ({"triton": {"image": OWN}}, f"whether {OWN} has known vulnerabilities cannot be told"),
        ({"triton": {"release": "26.08"}}, "tritonserver:26.08-py3 may be pushed again"),
        ({"native_backends": False}, "measured behind Triton's Python backend"),
        ({"native_backends": False}, f"measured with Triton 26.08 on PATH, with its Python backend; {DIGEST}, which"),
        ({"targets": {"cpu": cpu_target()}}, "not verified that this Triton runs what openvino 2026.4.1 built"),
    ],
    ids=["floor", "unknown release", "tag", "measured otherwise", "another server", "not verified"],
)
def test_what_speaks_against_it_is_said_everywhere(measured, capfd, settings, words):
    targets = {"h100": gpu_target(tensorrt={"version": "11.0.0.114"})} if "26.06" in str(settings) else None
    found = measured(**({"targets": targets} if targets else {}) | settings).written()
    target = found.resolved().fleet[0]
    assert any(words in warning for warning in found.record()["warnings"][target])
    assert words in capfd.readouterr().err
    assert words in found.one("kubernetes.yaml", "Deployment")["metadata"]["annotations"]["slipway/warnings"]
    unwrapped = " ".join(line.removeprefix("# ") for line in found.text("kubernetes.yaml").splitlines())
    assert f"WARNING: {words}" in unwrapped or words in unwrapped


def test_without_a_release_the_newest_one_serves_a_cpu_and_that_is_said(measured, capfd):
    found = measured(targets={"cpu": cpu_target()}, triton={}).written()
    assert container(found, "cpu")["image"] == image_of(newest())
    assert f"Triton {newest()} is the newest release known here" in capfd.readouterr().err
    assert found.record()["values"]["cpu"]["triton_release"]["source"] == "releases.yaml"


def test_only_a_digest_need_not_be_pulled_again(measured):
    assert container(measured().written())["imagePullPolicy"] == "IfNotPresent"
    by_tag = container(measured(triton={"release": "26.08"}).written())
    assert by_tag["imagePullPolicy"] == "Always"
    assert by_tag["image"] == "nvcr.io/nvidia/tritonserver:26.08-py3"


# Random weights


def test_manifests_of_random_weights_say_so_and_start_nothing(measured, capfd):
    found = measured(origin="rehearsal").written()
    assert "WARNING, h100: a rehearsal: random weights" in capfd.readouterr().err
    for each in [*found.objects("kubernetes.yaml"), *found.objects("kserve.yaml")]:
        assert each["metadata"]["name"].endswith("-rehearsal"), each
        assert each["metadata"]["labels"]["slipway/origin"] == "rehearsal"
    gated = [pod(found), found.one("kserve.yaml", "InferenceService")["spec"]["predictor"]]
    gated += [found.one("arena.yaml", "Deployment")["spec"]["template"]["spec"]]
    assert [each["schedulingGates"] for each in gated] == 3 * [[{"name": "slipway/rehearsal"}]]
    arena = subprocess.run(["bash", found.path("deploy/arena.sh"), "deploy"], capture_output=True, text=True)
    assert (arena.returncode, arena.stderr) == (1, "a rehearsal: random weights, so nothing is deployed\n")
    [compose] = found.objects("compose.yaml")
    assert compose["services"]["triton"]["labels"]["slipway/origin"].startswith("${SLIPWAY_REHEARSAL:?a rehearsal")


def test_manifests_of_real_weights_have_nothing_of_a_rehearsal(measured):
    found = measured().written()
    assert not [name for name in FILES[:-1] if re.search("rehearsal|schedulingGates", found.text(name), re.IGNORECASE)]


# Refusals


def test_without_a_release_nobody_knows_what_serves_an_engine_of_tensorrt(refused):
    assert "set `triton.release`" in refused(triton={})


def test_engines_of_tensorrt_for_rtx_have_no_server(measured, refused):
    rtx = {"runtime": "tensorrt_rtx", "hardware": L4, "precisions": ["fp16"], "tensorrt": {"version": "1.7.1.116"}}
    assert measured(targets={"rtx": rtx}).resolved().fleet == []
    assert "no target of config.yaml can be deployed" in refused(targets={"rtx": rtx})
    message = refused(targets={"rtx": rtx, "cpu": cpu_target()}, deploy={"fleet": ["rtx"]})
    assert "`deploy.fleet` has rtx" in message


@pytest.mark.parametrize("name", ["h100/selection.json", "h100/analysis/analysis.json"])
def test_artifacts_that_do_not_belong_together_are_refused(measured, name):
    found = measured().measure()
    write_json(found.path(name), read_json(found.path(name)) | {"edited": True})
    with pytest.raises(SlipwayError, match=f"was made from another .*{name}"):
        main(found.arguments())


def test_a_name_that_kubernetes_cannot_hold_is_refused(refused):
    assert "longer than the 46 characters" in refused(model="m" * 60)


def test_names_are_dns_labels():
    assert label("My_Model", "H100") == "my-model-h100"
    assert label("50net") == "m-50net"
    assert len(label("m" * LONGEST)) == LONGEST


@pytest.mark.parametrize("place", ["arena", "kubernetes", "kserve", "compose"])
def test_deploying_elsewhere_needs_a_triton_that_serves_every_engine(measured, place):
    rtx = {"runtime": "tensorrt_rtx", "hardware": L4, "precisions": ["fp16"], "tensorrt": {"version": "1.7.1.116"}}
    require_servers(measured(deploy={"to": place}).resolved())
    for deploy, words in (
        ({"fleet": ["rtx"]}, "`deploy.fleet` has rtx"),
        ({}, "every target is one of TensorRT for RTX"),
    ):
        with pytest.raises(SlipwayError, match=words):
            require_servers(measured(targets={"rtx": rtx}, deploy={"to": place, **deploy}).resolved())
    with pytest.raises(SlipwayError, match=f"`deploy.to` is {place}, but nothing says which Triton serves there"):
        require_servers(measured(deploy={"to": place}, triton={}).resolved())
    require_servers(measured(targets={"cpu": cpu_target()}, deploy={"to": place}, triton={}).resolved())


def test_deploying_here_is_not_refused(measured):
    require_servers(measured(deploy={"to": "local"}, targets={"cpu": cpu_target()}, triton={}).resolved())


@pytest.mark.parametrize(
    ("deploy", "key"),
    [
        ({"fleet": ["h200"]}, "`deploy.fleet`"),
        ({"cluster": {"gpu_resources": {"h200": "nvidia.com/gpu"}}}, "`deploy.cluster.gpu_resources`"),
        ({"cluster": {"node_labels": {"h200": {}}}}, "`deploy.cluster.node_labels`"),
        ({"compose": {"grafana_port": 8000}}, "`deploy` has the ports"),
        ({"cluster": {"namespace": "My_Space"}}, "`deploy.cluster.namespace`"),
        ({"cluster": {"gpu_resources": {"h100": "nvidia.com/mig-huge"}}}, "`deploy.cluster.gpu_resources.h100`"),
        ({"cluster": {"claim_path": "../other"}}, "`deploy.cluster.claim_path`"),
        ({"cluster": {"memory_margin": 0.5}}, "`deploy.cluster.memory_margin`"),
        ({"to": "moon"}, "`deploy.to`"),
    ],
)
def test_a_mistake_in_the_configuration_is_told(deploy, key):
    with pytest.raises(SlipwayError) as caught:
        complete({"models": {"m": {}}, "targets": {"h100": gpu_target()}, "deploy": deploy})
    assert key in str(caught.value)
    assert "\n" not in str(caught.value)


# Files


def test_the_same_inputs_give_the_same_bytes(measured):
    found = measured(
        targets={"h100": gpu_target(), "l4": gpu_target(L4)}, deploy={"cluster": {"replicas": 2}}
    ).written()
    before = {name: found.path(f"deploy/{name}").read_bytes() for name in FILES}
    main(found.arguments())
    assert {name: found.path(f"deploy/{name}").read_bytes() for name in FILES} == before


def test_keys_are_sorted_and_nothing_tells_the_time(measured):
    found = measured().written()
    for name in ("arena.yaml", "kubernetes.yaml", "kserve.yaml", "compose.yaml"):
        parsed = list(yaml.safe_load_all(found.text(name)))
        assert all(list(each) == sorted(each) for each in parsed)
        assert not re.search(r"20\d\d-\d\d-\d\d|\d\d:\d\d:\d\d", found.text(name))


def test_one_manifest_that_is_refused_keeps_all_from_being_written(measured, monkeypatch):
    found = measured().measure()

    def surging(fleet):
        runtime, service = kserve_objects(fleet)
        service["spec"]["predictor"]["deploymentStrategy"] = {"type": "RollingUpdate", "surge": 1}
        return [runtime, service]

    monkeypatch.setattr("slipway.manifests.kubernetes.kserve_objects", surging)
    with pytest.raises(SlipwayError, match=r"InferenceService resnet50-h100 is not what Kubernetes .* takes: .*surge"):
        main(found.arguments())
    assert not found.path("deploy").exists()


def test_each_value_is_found_where_the_record_says(measured):
    found = measured(targets={"h100": gpu_target(), "l4": gpu_target(L4)}).written()
    config = found.resolved().config
    followed = 0
    for values in found.record()["values"].values():
        for name, told in values.items():
            if "how" in told or told["source"].endswith(".py") or name in ("model", "target", "gpu_resource"):
                continue
            place = config if told["source"] == "config.yaml" else read_json(told["source"])
            for key in told["key"].split("."):
                place = place[key]
            assert place == told["value"], name
            followed += 1
    assert followed > 40


def test_the_record_has_the_hash_of_what_it_was_made_from_and_of_what_was_written(measured):
    found = measured().written()
    record = found.record()
    assert len(record["artifacts"]) == 3
    assert all(sha256(path) == digest for path, digest in record["artifacts"].items())
    assert record["files"] == {name: sha256(found.path(f"deploy/{name}")) for name in FILES[:-1]}
    sources = {told["source"] for told in record["values"]["h100"].values()}
    assert {source for source in sources if source.endswith(".json")} == set(record["artifacts"])


def test_annotations_name_the_artifacts(measured):
    found = measured().written()
    annotations = found.one("kubernetes.yaml", "Deployment")["spec"]["template"]["metadata"]["annotations"]
    for key, name in {
        "repository-index": "repository",
        "selection": "selection",
        "load-test": "analysis/analysis",
    }.items():
        assert annotations[f"slipway/{key}"] == f"sha256:{sha256(found.path(f'h100/{name}.json'))}"
    assert annotations["slipway/weights"] == "sha256:" + "cd" * 32
    assert "2 instances, batches up to 16" in annotations["slipway/serves"]


def test_no_manifest_holds_a_secret(measured):
    found = measured(deploy={"cluster": {"image_pull_secrets": ["registry"]}}).written()
    for name in FILES:
        assert "kind: Secret" not in found.text(name)
        assert not re.search(r"password|passwd|token:(?! false)|api[_-]?key|BEGIN ", found.text(name), re.IGNORECASE), (
            name
        )
    assert pod(found)["imagePullSecrets"] == [{"name": "registry"}]
