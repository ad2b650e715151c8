"""That nobody but who has a key changes a server elsewhere, which releases may serve there, and which image it is."""

import os
import re
import subprocess
import sys

import pytest
import yaml
from helpers.artifacts.measured import container, gpu_target

from slipway.core.errors import SlipwayError
from slipway.keys.job_keys import JobKeys
from slipway.keys.manifest_validation import require_manifests
from slipway.triton.server import releases

GUARDED = "logging,model-repository,shared-memory,trace:slipway-key="
TELL = f"#!{sys.executable}\nimport sys\nprint(*sys.argv[1:], sep='\\n')\n"
OLD = {"release": "23.02", "oldest": "23.02"}


def require_supported_release(resolved):
    """Hold the Triton of another platform to `triton.oldest`, as rules/platform.smk does."""
    require_manifests(resolved, "resnet50")


def guards(words):
    """Return the keys by which a command line guards gRPC and HTTP."""
    found = [word.partition(GUARDED) for word in words if "restricted" in word]
    assert [flag for flag, _, _ in found] == ["--grpc-restricted-protocol=", "--http-restricted-api="]
    return [key for _, _, key in found]


def started(command, tmp_path):
    """Return the flags that a stand-in for tritonserver gets when this command is run, dollars as Compose has them."""
    (tmp_path / "tritonserver").write_text(TELL, encoding="utf-8")
    (tmp_path / "tritonserver").chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "PATH": path})
    return done.stdout.splitlines()


@pytest.mark.parametrize("manifest", ["kubernetes.yaml", "kserve.yaml"])
def test_the_key_of_a_pod_is_its_own(measured, manifest):
    found = measured().written()
    kserve = manifest == "kserve.yaml"
    only = found.one(manifest, "ServingRuntime")["spec"]["containers"][0] if kserve else container(found)
    assert guards(only["args"]) == ["$(POD_UID)"] * 2
    field = {"name": "POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}
    assert field in only["env"]


def test_a_shell_draws_the_key_in_a_container_of_arena(measured, tmp_path):
    [only] = measured().written().one("arena.yaml", "Deployment")["spec"]["template"]["spec"]["containers"]
    command = [*only["command"], *only["args"]]
    keys = guards(started(command, tmp_path)) + guards(started(command, tmp_path))
    assert len(set(keys)) == 4
    assert all(re.fullmatch("[0-9a-f-]{36}", key) for key in keys)


def test_a_shell_draws_the_key_in_a_container_of_compose(measured, tmp_path):
    command = measured().written().objects("compose.yaml")[0]["services"]["triton"]["command"]
    words = [word.replace("$$", "\0") for word in command]
    assert not any("$" in word for word in words), "Compose would put its own values there"
    flags = started([word.replace("\0", "$") for word in words], tmp_path)
    assert all(re.fullmatch("[0-9a-f-]{36}", key) for key in guards(flags))
    assert "--model-repository=/models" in flags


def test_the_apis_of_clients_stay_open(measured):
    for word in container(measured().written())["args"]:
        for api in ("health", "metadata", "inference", "model-config", "statistics"):
            assert not re.search(rf"restricted.*[=,]{api}[,:]", word)


def test_a_release_that_is_too_old_is_refused_with_the_two_ways_out(refused):
    targets = {"h100": gpu_target(tensorrt={"version": "10.13.3.9"})}
    message = refused(targets=targets, triton={"release": "25.09"})
    assert "Triton 25.09 (`triton.release`) is older than 26.07 and has known vulnerabilities" in message
    assert "a newer release" in message
    assert '`triton.oldest: "25.09"`' in message
    assert "\n" not in message


def test_the_local_server_is_not_held_to_it_and_the_plan_tells_before_anything_is_built(measured):
    found = measured(targets={"h100": gpu_target(tensorrt={"version": "10.13.3.9"})}, triton={"release": "25.09"})
    resolved = found.resolved()
    with pytest.raises(SlipwayError, match=r"older than 26\.07"):
        require_supported_release(resolved)
    JobKeys(resolved).deploy_release()
    found.triton |= {"oldest": "25.09"}
    require_supported_release(found.resolved())


def test_a_release_that_nobody_named_is_asked_for_before_anything_is_built(measured):
    found = measured(triton={})
    with pytest.raises(SlipwayError, match=r"nothing says which Triton serves.* set `triton\.release`, such as"):
        require_supported_release(found.resolved())
    found.triton |= {"image": f"registry.example/triton@sha256:{64 * '0'}"}
    require_supported_release(found.resolved())


def test_an_old_image_is_refused_by_its_tag(measured):
    found = measured(triton={"image": "nvcr.io/nvidia/tritonserver:25.09-py3"})
    with pytest.raises(SlipwayError, match=r"Triton 25\.09 \(`triton\.image`\) is older than 26\.07"):
        require_supported_release(found.resolved())
    found.triton |= {"oldest": "25.09"}
    require_supported_release(found.resolved())
    found.triton |= {"oldest": "26.07", "image": "nvcr.io/nvidia/tritonserver:26.07-py3"}
    require_supported_release(found.resolved())


def test_a_release_that_is_accepted_is_warned_of_and_told_no_flags_that_it_lacks(measured):
    found = measured(targets={"h100": gpu_target(tensorrt={"version": "8.5.3.1"})}, triton=OLD).written()
    assert not any("restricted" in word for word in container(found)["args"])
    [told] = [found.one("kubernetes.yaml", "Deployment")["metadata"]["annotations"]["slipway/warnings"]]
    assert "Triton 23.02 has known vulnerabilities, which `triton.oldest` accepts" in told
    assert "Triton 23.02 keeps neither model control nor shared memory from whoever reaches its ports" in told


def test_a_known_digest_pins_the_image(measured, monkeypatch, tmp_path):
    table = yaml.safe_load(releases.TABLE.read_text(encoding="utf-8"))
    digest = "sha256:" + "12" * 32
    table["releases"][-1]["digest"] = digest
    (tmp_path / "table.yaml").write_text(yaml.safe_dump(table), encoding="utf-8")
    monkeypatch.setattr(releases, "TABLE", tmp_path / "table.yaml")
    releases.releases.cache_clear()
    try:
        found = measured(triton={"release": "26.08"}).written()
    finally:
        releases.releases.cache_clear()
    assert container(found)["image"] == f"nvcr.io/nvidia/tritonserver:26.08-py3@{digest}"
    assert container(found)["imagePullPolicy"] == "IfNotPresent"
    assert found.record()["warnings"] == {"h100": []}
