"""Deploying to a cluster: a stand-in of its API, with real Triton servers where its pods' ports are forwarded to."""

import signal
import subprocess
from dataclasses import replace

import pytest
from helpers.kubernetes_api.site import INDEX, Site
from helpers.patience import PATIENCE_S
from helpers.workplace import Workplace

import deploy
import rollback
import status
import undeploy
from slipway.cluster import lease
from slipway.cluster.api import Cluster
from slipway.contract.reference_outputs import ReferenceOutputs
from slipway.core.artifacts import tree_digest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("to", ["kubernetes", "kserve"])
def test_deployed_replaced_rolled_back_shown_and_removed(tmp_path, api, trained_servers, to, capfd):
    site = Site(tmp_path, api, trained_servers, to).train(0)
    site.run(deploy)
    first, objects = site.receipt, site.live()
    assert (first["number"], first["place"]["context"], first["place"]["namespace"]) == (1, "stand-in", "serving")
    assert first["targets"]["cpu"]["smoke_test"]["agreement"]["relative_error"] < 1e-4
    assert first["targets"]["cpu"]["smoke_test"]["refused"]
    assert first["targets"]["cpu"]["canary"]["requests"] >= 20
    assert first["published"]["cpu"]["published"] is False
    assert f"{api.token}" not in str(first)

    site.train(1)
    site.run(deploy)
    assert site.receipt["number"] == 2
    assert site.live() != objects

    # As `rollback_tiny` does where the configuration has the model no longer.
    site.run(rollback, "--alone", "--configured", "results/other")
    assert "tiny is not in this configuration; the next deployment leaves it as it is" in capfd.readouterr().err
    assert (site.receipt["number"], site.receipt["rolled_back_from"]) == (1, 2)
    assert site.live() == objects
    site.refused("live before tiny_trt version 1", "Nothing was changed", program=rollback)

    capfd.readouterr()
    status.main(status.parse_arguments(["--results", str(site.results)]))
    said = capfd.readouterr().err
    assert f"tiny_trt: answers; live on {to} since" in said
    assert "BACK" in said
    assert "correct config.yaml or the checkpoint before" in said
    assert ("1 of 1 pods ready" if to == "kubernetes" else ", ready") in said
    status.main(status.parse_arguments(["--results", str(site.results.parent / "other")]))
    said = capfd.readouterr().err
    assert f"tiny_trt: answers; live on {to} since" in said
    assert "not in this configuration; the next deployment leaves it as it is" in said

    site.run(undeploy)
    assert site.receipt is None
    assert site.live() == {}
    site.run(undeploy)
    assert f"nothing is deployed to {to}" in capfd.readouterr().err


def test_wrong_answers_are_taken_back(tmp_path, api, trained_servers):
    site = Site(tmp_path, api, trained_servers).train(0)
    site.train(1, reference_seed=0)
    site.refused("on cpu", "its answer differs from the reference", "What was created was removed")
    assert site.live() == {}
    site.train(0)
    site.run(deploy)
    before, objects = site.receipt, site.live()
    site.train(1, reference_seed=0)
    site.refused("its answer differs from the reference", "was applied again and serves: Deployment tiny-cpu")
    assert site.receipt == before
    assert site.live() == objects
    site.train(1, p99_limit_ms=0.001)
    api.store.remove("Service", api.namespace, "tiny")
    assert site.live() != objects
    site.refused("above the limit of 0.001 ms", "was applied again")
    assert site.live() == objects


def test_a_rollout_that_is_stuck_is_taken_back(tmp_path, api, trained_servers):
    site = Site(tmp_path, api, trained_servers).train(0)
    site.run(deploy)
    before, objects = site.receipt, site.live()
    site.train(1)
    api.behave("Unschedulable")
    site.refused("0/3 nodes are available", "was applied again and serves")
    assert site.receipt == before
    assert site.live() == objects


def test_what_the_cluster_refuses_changes_nothing(tmp_path, api, trained_servers):
    site = Site(tmp_path, api, trained_servers).train(0)
    site.run(deploy)
    before, objects = site.receipt, site.live()
    site.train(1)
    api.deny("patch", "deployments")
    site.refused("does not allow", "patch deployments.apps")
    api.denied.clear()
    api.fail(409, times=1, match="/deployments/tiny-cpu")
    site.refused("refuses to patch Deployment tiny-cpu")
    assert site.receipt == before
    assert site.live() == objects
    assert site.history()["rollout"] is None


def test_a_second_deployer_is_told_who_deploys(tmp_path, api, trained_servers):
    site = Site(tmp_path, api, trained_servers).train(0)
    with lease.hold(Cluster.connect(api.namespace), "slipway-tiny"):
        site.refused("is deploying to serving in stand-in since")
    assert site.live() == {}
    site.run(deploy)


def test_killed_midway_the_next_run_goes_on_and_knows_what_was_live(tmp_path, api, trained_servers, capfd):
    site = Site(tmp_path, api, trained_servers).train(0)
    site.run(deploy)
    objects = site.live()
    site.train(1)
    api.behave("Waiting")
    command = Workplace(tmp_path).program_command("deploy", *site.options("--ready-timeout-s", PATIENCE_S))
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE)
    wanted = f"sha256:{site.index()}"
    api.until(lambda: api.one("Deployment", "tiny-cpu")["metadata"]["annotations"][INDEX] == wanted)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    for found in [each for each in api.objects if each["kind"] == "Lease"]:
        api.store.remove("Lease", api.namespace, found["metadata"]["name"])
    api.finish()
    assert site.receipt["number"] == 1

    _reverse_reference(site.results / "reference_outputs.npz")
    site.refused("its answer differs from the reference", "was applied again and serves")
    assert "was killed midway; continuing from its state" in capfd.readouterr().err
    assert site.live() == objects
    site.train(1)
    site.run(deploy)
    assert site.receipt["number"] == 2


def test_undeploy_also_removes_what_a_killed_first_deployment_left(tmp_path, api, trained_servers, monkeypatch):
    site = Site(tmp_path, api, trained_servers).train(0)
    site.run_until_killed(monkeypatch)
    assert site.live() != {}
    assert site.receipt is None
    site.run(undeploy)
    assert site.live() == {}
    assert site.history()["rollout"] is None


def _reverse_reference(path):
    """Give the reference outputs the classes in reverse order."""
    reference = ReferenceOutputs.read(path)
    reversed_answers = [
        replace(sample, outputs={"logits": sample.outputs["logits"][:, ::-1]}) for sample in reference.samples
    ]
    replace(reference, samples=tuple(reversed_answers)).write(path)


def test_a_fleet_is_published_and_every_target_is_proven(tmp_path, api, trained_servers):
    claim = tmp_path / "claim"
    claim.mkdir()
    site = Site(tmp_path, api, trained_servers, targets=("cpu", "edge")).train(0)
    publish = ["--publish-to", str(claim), "--keep-published", "1"]
    site.run(deploy, *publish)
    receipt = site.receipt
    assert set(receipt["targets"]) == {"cpu", "edge"}
    assert {each["kind"] for each in receipt["contents"]["objects"]} >= {"Deployment", "Service"}
    for target, proof in receipt["targets"].items():
        assert proof["smoke_test"]["agreement"]["relative_error"] < 1e-4
        assert tree_digest(claim / proof["repository"]) == tree_digest(site.repository(target))
    first = claim / receipt["targets"]["cpu"]["repository"]

    site.train(1)
    site.measured.deploy["fleet"] = ["cpu"]
    site.change()
    site.run(deploy, *publish)
    assert first.is_dir(), "the version that a rollback goes to was removed"
    assert api.one("Deployment", "tiny-edge") is None
    engine, objects = next(first.rglob("*.bin")), site.live()
    content = engine.read_bytes()
    engine.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    site.refused("is not what was published", f"edited: {first.name}/", "Nothing was changed", program=rollback)
    assert site.live() == objects
    engine.write_bytes(content)
    site.run(rollback)
    assert api.one("Deployment", "tiny-edge") is not None
