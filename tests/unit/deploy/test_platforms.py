"""What going back means to each place, object by object, and the commands that Arena is given."""

from pathlib import Path

import pytest
from helpers.kubernetes_api.parts import connect, objects, stand_in

from slipway.core.errors import SlipwayError
from slipway.deploy import arena, commands
from slipway.deploy.compose import objects_in, ports_of
from slipway.deploy.kubernetes import Kubernetes, applicable, key, readiness, reference
from slipway.deploy.release_history import DeploymentState


def service(version, name="tiny", **more):
    annotations = {"slipway/weights": version} if version else {}
    metadata = {"name": name, "namespace": "serving", "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, **more}


class Version:
    """A release, as far as only its objects count."""

    model, to, folder = "tiny", "kubernetes", Path("results/tiny")
    files = parts = ()

    def __init__(self, *objects, namespace="serving"):
        self.objects = list(objects)
        self.place = {"namespace": namespace, "app": "tiny"}


class Cluster:
    """A cluster that has these objects."""

    context, namespace = "here", "serving"

    def __init__(self, *objects):
        self.objects = {key(each): each for each in objects}

    def get(self, found):
        return self.objects.get(key(found))


def before(cluster, release, **state):
    return Kubernetes(cluster, "tiny", 1).snapshot(release, DeploymentState(**state))


OLD, NEW, NEXT, FOREIGN = (service(version) for version in ("old", "new", "next", "foreign"))


def test_where_nothing_is_there_is_nothing_to_go_back_to():
    assert before(Cluster(), Version(NEW)) == {"objects": [], "absent": [reference(NEW)]}


def test_what_was_applied_last_is_gone_back_to_as_it_was_applied():
    live = OLD | {"status": {}, "spec": {"clusterIP": "10.0.0.1"}}
    assert before(Cluster(live), Version(NEW), live=Version(OLD))["objects"] == [OLD]


def test_what_a_killed_deployment_left_is_no_version_to_go_back_to():
    left = {"objects": [OLD], "absent": []}
    state = {"live": Version(OLD), "baseline": left, "attempted": Version(NEW)}
    assert before(Cluster(NEW), Version(NEXT), **state)["objects"] == [OLD]
    left = {"objects": [], "absent": [reference(NEW)]}
    assert before(Cluster(NEW), Version(NEXT), baseline=left, attempted=Version(NEW))["absent"] == [reference(NEXT)]


def test_what_somebody_else_deployed_meanwhile_is_what_was_there():
    state = {"live": Version(OLD), "baseline": {"objects": [OLD], "absent": []}, "attempted": Version(NEW)}
    assert before(Cluster(FOREIGN), Version(NEXT), **state)["objects"] == [FOREIGN]


def test_what_only_an_earlier_version_had_is_looked_at_too():
    extra = service("old", "extra")
    found = before(Cluster(OLD, extra), Version(NEW), live=Version(OLD, extra))
    assert {key(each) for each in found["objects"]} == {"Service tiny", "Service extra"}


HERE = {"context": "here", "namespace": "serving", "app": "tiny"}


@pytest.mark.parametrize(
    ("namespace", "state", "said"),
    [
        ("serving", {"receipt": {"place": HERE | {"namespace": "vision"}}}, "tiny is in the namespace vision of here"),
        ("serving", {"receipt": {"place": HERE | {"context": "there"}}}, "tiny is in the namespace serving of there"),
        ("serving", {"attempted": Version(namespace="vision")}, "tiny is in the namespace vision of here"),
        ("vision", {"receipt": {"place": HERE}}, "is one for the namespace vision, but tiny is live in"),
    ],
)
def test_a_model_that_is_at_another_place_is_not_left_there(namespace, state, said):
    with pytest.raises(SlipwayError, match=said):
        Kubernetes(Cluster(), "tiny", 1).preflight(Version(NEW, namespace=namespace), DeploymentState(**state))


def test_a_cluster_that_is_only_called_otherwise_is_the_same_place(monkeypatch):
    monkeypatch.setattr("slipway.cluster.preflight.check", lambda *_: {"verified": []})
    server = service("old") | {"kind": "Deployment"}
    state = DeploymentState({"place": HERE | {"context": "there"}}, Version(server))
    release = Version(NEW)
    assert Kubernetes(Cluster(server), "tiny", 1).preflight(release, state) == {"verified": []}
    with pytest.raises(SlipwayError, match="tiny is in the namespace serving of there"):
        Kubernetes(Cluster(), "tiny", 1).preflight(release, state)


def test_what_is_of_a_kind_that_was_uninstalled_is_gone(tmp_path, monkeypatch):
    """The operator's objects go with it, and what was deployed beside them can still be replaced and removed."""
    with stand_in(tmp_path, monkeypatch) as server:
        connect().apply(objects())
        server.uninstalled = {"monitoring.coreos.com"}
        there = Kubernetes(connect(), "resnet50", 1)
        contents = {"objects": [reference(each) for each in objects()]}
        lines = there.describe({"contents": contents})
        assert sorted(line.split()[1] for line in lines if "GONE" in line) == ["PodMonitor", "PrometheusRule"]
        found = there.snapshot(Version(*objects(prometheus_operator=False)), DeploymentState({"contents": contents}))
        assert {each["kind"] for each in found["absent"]} == {"PodMonitor", "PrometheusRule"}
        assert len(there.remove([contents])) == len(objects()) - 2
        assert server.one("Deployment", "resnet50-h100") is None


@pytest.mark.parametrize("gone", ["Service", "PodDisruptionBudget", "Deployment"])
def test_what_somebody_deleted_of_the_live_version_is_there_again_after_going_back(tmp_path, monkeypatch, capfd, gone):
    old, new = Version(*objects(replicas=2)), Version(*objects(replicas=2, index_sha256="99" * 32))
    with stand_in(tmp_path, monkeypatch) as server:
        there = Kubernetes(connect(), "resnet50", 20)
        there.start(old, {})
        [deleted] = [obj for obj in old.objects if obj["kind"] == gone]
        server.store.remove(gone, "serving", deleted["metadata"]["name"])
        before = there.snapshot(new, DeploymentState(live=old))
        assert f"  {key(deleted)} of the live version was deleted" in capfd.readouterr().err
        assert before["absent"] == []
        there.start(new, before)
        assert "serves: Deployment resnet50-h100" in there.restore(new, before)
        assert [applicable(there.cluster.get(reference(obj))) for obj in old.objects] == old.objects


def test_nothing_of_an_uninstalled_kind_is_made_again(tmp_path, monkeypatch):
    old, new = Version(*objects()), Version(*objects(index_sha256="99" * 32, prometheus_operator=False))
    with stand_in(tmp_path, monkeypatch) as server:
        there = Kubernetes(connect(), "resnet50", 20)
        there.start(old, {})
        server.uninstalled = {"monitoring.coreos.com"}
        there = Kubernetes(connect(), "resnet50", 20)
        before = there.snapshot(new, DeploymentState(live=old))
        assert {each["kind"] for each in before["absent"]} == {"PodMonitor", "PrometheusRule"}
        there.start(new, before)
        assert "serves: Deployment resnet50-h100" in there.restore(new, before)


def test_going_back_waits_for_an_api_that_is_away(tmp_path, monkeypatch):
    monkeypatch.setattr("slipway.cluster.transport.PAUSE_S", 0.02)
    with stand_in(tmp_path, monkeypatch) as server:
        there, cluster = Version(*objects()), connect()
        cluster.apply(there.objects)
        server.fail(503, times=6, match="/version")
        absent = [reference(each) for each in there.objects]
        said = Kubernetes(cluster, "resnet50", 1).restore(there, {"objects": [], "absent": absent})
        assert "What was created was removed" in said
        assert server.one("Deployment", "resnet50-h100") is None


def test_what_the_cluster_adds_is_not_applied_again():
    notes = {"slipway/weights": "old", "deployment.kubernetes.io/revision": "3"}
    metadata = {"name": "tiny", "uid": "1", "resourceVersion": "9", "managedFields": [], "annotations": notes}
    found = applicable({"kind": "Deployment", "metadata": metadata, "spec": {}, "status": {"replicas": 1}})
    assert found == {
        "kind": "Deployment",
        "metadata": {"name": "tiny", "annotations": {"slipway/weights": "old"}},
        "spec": {},
    }


@pytest.mark.parametrize(
    ("live", "said"),
    [
        ({"kind": "Deployment", "spec": {"replicas": 2}, "status": {"readyReplicas": 1}}, "1 of 2 pods ready"),
        ({"kind": "Deployment", "spec": {}}, "0 of 1 pods ready"),
        ({"kind": "InferenceService", "status": {"conditions": [{"type": "Ready", "status": "True"}]}}, "ready"),
        ({"kind": "InferenceService"}, "NOT READY"),
    ],
)
def test_how_many_pods_are_ready(live, said):
    assert readiness(live) == said


def test_the_commands_of_a_script_are_read_word_by_word(tmp_path):
    script = tmp_path / "arena.sh"
    script.write_text(
        "#!/usr/bin/env bash\n\ndeploy() {\n  arena serve triton \\\n    --name=a \\\n    '--extend-command=b c'\n"
        "  arena serve triton --name=d\n}\n\nstatus() {\n  arena serve list\n}\n",
        encoding="utf-8",
    )
    first = ["arena", "serve", "triton", "--name=a", "--extend-command=b c"]
    assert arena.commands_of(script) == [first, ["arena", "serve", "triton", "--name=d"]]


def test_a_program_that_fails_or_hangs_or_is_missing_is_told():
    with pytest.raises(SlipwayError, match=r"exit code 3:\n.*broken"):
        commands.output_of(["sh", "-c", "echo broken >&2; exit 3"], 10)
    with pytest.raises(SlipwayError, match="did not end within 0 s"):
        commands.output_of(["sleep", "30"], 0.1)
    with pytest.raises(SlipwayError, match=r"no `no-such-program` on PATH; install it. Nothing was changed"):
        commands.require_program("no-such-program", "install it")


def test_compose_lists_as_an_array_or_as_lines():
    assert objects_in('[{"Name": "a"}, {"Name": "b"}]') == [{"Name": "a"}, {"Name": "b"}]
    assert objects_in('{"Name": "a"}\n{"Name": "b"}\n') == [{"Name": "a"}, {"Name": "b"}]
    assert objects_in("") == []


@pytest.mark.parametrize(("host", "asked"), [("0.0.0.0", "127.0.0.1"), ("10.1.2.3", "10.1.2.3")])
def test_a_server_that_listens_everywhere_is_asked_here(host, asked):
    assert ports_of({"host": host, "http_port": 1, "grpc_port": 2, "metrics_port": 3}).host == asked
