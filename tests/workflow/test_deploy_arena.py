"""Deploying with Arena: stand-ins for its client and for the cluster, with real Triton servers as its pods."""

import pytest
from helpers.kubernetes_api.site import Site
from helpers.programs import fake_arena

import deploy
import rollback
import undeploy

pytestmark = pytest.mark.slow


@pytest.fixture
def site(tmp_path, api, trained_servers, monkeypatch):
    """Return a model that is deployed with Arena."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, value in fake_arena.install(programs).items():
        monkeypatch.setenv(name, value)
    return Site(tmp_path, api, trained_servers, to="arena").train(0)


def releases(site):
    """Return the versions whose objects are in the cluster."""
    found = [each["metadata"]["labels"]["servingVersion"] for each in site.api.objects if each["kind"] == "Deployment"]
    return sorted(found)


def version(site):
    return f"v{site.index()[:12]}"


def test_each_version_is_started_beside_the_old_one_which_goes_once_it_is_proven(site):
    site.run(deploy)
    old, before = version(site), site.receipt
    assert releases(site) == [old]
    assert before["contents"]["releases"] == [["tiny-cpu", old]]

    site.train(1, reference_seed=0)
    untouched = site.live()
    site.refused("its answer differs from the reference", f"was never touched and serves on: tiny-cpu {old}")
    assert site.live() == untouched
    assert site.receipt == before

    site.api.behave("Unschedulable")
    site.train(1)
    site.refused("0/3 nodes are available", "serves on")
    assert site.live() == untouched

    site.api.behave("Ready")
    site.run(deploy)
    new = version(site)
    assert releases(site) == [new] != [old]
    assert site.receipt["number"] == 2

    site.run(rollback)
    assert releases(site) == [old]
    assert site.receipt["rolled_back_from"] == 2
    site.run(undeploy)
    assert releases(site) == []
    assert site.receipt is None


def test_arena_cannot_change_a_release_that_is_live(site):
    site.run(deploy)
    objects = site.live()
    site.change(cluster={"namespace": site.api.namespace, "replicas": 2})
    site.refused("was started otherwise than arena.sh says now", "Nothing was changed")
    assert site.live() == objects


def test_what_a_killed_deployment_left_is_removed_with_the_next_one(site, monkeypatch, capfd):
    site.run(deploy)
    old = version(site)
    site.train(1)
    killed = version(site)
    site.run_until_killed(monkeypatch)
    assert releases(site) == sorted([old, killed])
    site.train(1, p99_limit_ms=50_000)
    site.run(deploy)
    assert "was killed midway" in capfd.readouterr().err
    assert releases(site) == [version(site)]
    assert version(site) not in (old, killed)
