"""What a cluster's API is sent, and what is said of each way in which it refuses."""

import copy
import dataclasses
import socket
import ssl

import pytest
import yaml
from helpers.certificates import Authority
from helpers.kubernetes_api.parts import connect, objects, one, services, stand_in
from helpers.kubernetes_api.server import TOKEN

from slipway.cluster.api import Cluster
from slipway.core.errors import SlipwayError


@pytest.fixture
def server(tmp_path, monkeypatch):
    with stand_in(tmp_path, monkeypatch) as server:
        yield server


def refused(action, *phrases):
    """Require that it fails, each of the phrases said and no credentials; return what was said."""
    with pytest.raises(SlipwayError) as caught:
        action()
    said = str(caught.value)
    assert [phrase for phrase in phrases if phrase not in said] == [], said
    assert TOKEN not in said
    assert "BEGIN" not in said
    return said


# Applying


def test_objects_are_applied_by_server_side_apply_and_are_there(server):
    applied = connect().apply(objects())
    assert {each["kind"] for each in applied} == {each["kind"] for each in objects()}
    assert all(each["metadata"]["resourceVersion"] for each in applied)
    assert server.one("Deployment", "resnet50-h100")["spec"]["replicas"] == 1
    sent = server.asked("PATCH")
    assert all(each.query == {"fieldManager": "slipway"} for each in sent)


def test_what_others_refer_to_is_applied_first(server):
    connect().apply(list(reversed(objects(replicas=2, max_replicas=4))))
    plurals = [each.path.split("/")[-2] for each in server.asked("PATCH")]
    assert plurals.index("serviceaccounts") < plurals.index("deployments") < plurals.index("horizontalpodautoscalers")


def test_kserves_objects_are_applied_as_well(server):
    connect().apply(services())
    assert server.one("InferenceService", "resnet50-h100")["status"]["conditions"][0]["status"] == "True"


def test_a_dry_run_changes_nothing(server):
    assert len(connect().apply(objects(), dry_run=True)) == len(objects())
    assert server.one("Deployment", "resnet50-h100") is None
    assert {each.query["dryRun"] for each in server.asked("PATCH")} == {"All"}


def test_a_field_that_is_no_longer_sent_is_gone(server):
    cluster = connect()
    found = one(objects(), "Deployment")
    cluster.apply([found])
    without = copy.deepcopy(found)
    del without["spec"]["progressDeadlineSeconds"]
    cluster.apply([without])
    assert "progressDeadlineSeconds" not in server.one("Deployment", "resnet50-h100")["spec"]


def test_objects_are_read_listed_and_deleted(server):
    cluster, found = connect(), one(objects(), "Service")
    assert cluster.get(found) is None
    cluster.apply([found])
    assert cluster.get(found)["spec"]["type"] == "ClusterIP"
    assert len(cluster.list("Service", labels={"app.kubernetes.io/name": "resnet50"})) == 1
    assert cluster.list("Service", labels={"app.kubernetes.io/name": "other"}) == []
    assert cluster.delete(found)
    assert not cluster.delete(found)
    assert server.one("Service", "resnet50") is None


# What the API refuses


@pytest.mark.parametrize(
    ("field", "value", "phrase"),
    [
        ("replicas", "many", "spec.replicas: 'many' is not of type"),
        ("unheard", 1, "'unheard' was unexpected"),
        ("template", {"spec": {}}, "'containers' is a required property"),
    ],
)
def test_an_object_that_is_not_valid_is_refused_with_its_field_and_not_sent_again(server, field, value, phrase):
    found = one(objects(), "Deployment")
    found["spec"][field] = value
    said = "stand-in does not take Deployment resnet50-h100"
    refused(lambda: connect().apply([found]), said, phrase, "Correct `deploy` in config.yaml", "Nothing was changed")
    assert len(server.asked("PATCH")) == 1


def test_what_was_applied_before_a_refusal_is_said(server):
    server.deny("patch", "deployments")
    refused(lambda: connect().apply(objects()), "Applied before it: ServiceAccount resnet50, NetworkPolicy resnet50")


def test_an_immutable_field_is_named(server):
    found = one(objects(), "Deployment")
    connect().apply([found])
    found["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] = "other"
    refused(lambda: connect().apply([found]), "spec.selector: field is immutable")


def test_a_missing_right_is_said_with_how_to_ask(server):
    server.deny("patch", "deployments")
    refused(
        lambda: connect().apply([one(objects(), "Deployment")]),
        'User "tester" cannot patch resource "deployments"',
        "`kubectl auth can-i patch deployments.apps --namespace serving`",
        "Nothing was changed",
    )


def test_a_conflict_says_who_owns_which_field(server):
    found = one(objects(), "Deployment")
    scaled = {**found, "spec": {**found["spec"], "replicas": 7}}
    server.store.apply(scaled, "kubectl-scale", dry_run=False)
    refused(lambda: connect().apply([found]), ".spec.replicas is set by kubectl-scale", "--force-conflicts")
    assert server.one("Deployment", "resnet50-h100")["spec"]["replicas"] == 7


def test_fields_that_others_set_to_the_same_are_no_conflict(server):
    found = one(objects(), "Deployment")
    server.store.apply(found, "kubectl", dry_run=False)
    assert connect().apply([found])


@pytest.mark.parametrize(
    ("group", "found", "advice"),
    [
        ("monitoring.coreos.com", one(objects(), "PodMonitor"), "`deploy.cluster.prometheus_operator: false`"),
        ("serving.kserve.io", one(services(), "InferenceService"), "install KServe"),
    ],
)
def test_a_kind_that_nobody_installed_is_said(server, group, found, advice):
    server.uninstalled = {group}
    refused(lambda: connect().apply([found]), f"has no {found['kind']} of {found['apiVersion']}", advice)


def test_expired_credentials_are_said(server):
    server.token = "another"
    refused(lambda: connect().list("Pod"), "stand-in does not accept your credentials (401)", "Log in")
    refused(connect().transport.await_answer, "(401)")
    assert len(server.asked("GET", "/version")) == 1


# What may pass


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_state_that_passes_is_waited_for(server, code):
    server.fail(code, times=2, match="/pods", Retry_After=0)
    assert connect().list("Pod") == []
    assert len(server.asked("GET", "/pods")) == 3


@pytest.mark.parametrize(("code", "phrase"), [(429, "too many requests"), (500, "failed to list pods (500: told to")])
def test_a_state_that_lasts_is_said(server, code, phrase):
    server.fail(code, times=9, match="/pods")
    refused(lambda: connect().list("Pod"), phrase, "Try again")
    assert len(server.asked("GET", "/pods")) == 4


def test_a_refusal_is_not_tried_again(server):
    server.deny("list", "pods")
    refused(lambda: connect().list("Pod"), "cannot list")
    assert len(server.asked("GET", "/pods")) == 1


def test_an_api_that_stays_away_is_not_waited_for_for_ever(server, monkeypatch):
    monkeypatch.setattr("slipway.cluster.transport.OUTAGE_S", 0.1)
    monkeypatch.setattr("slipway.cluster.transport.PAUSE_S", 0.02)
    server.fail(503, times=10**6, match="/version")
    refused(connect().transport.await_answer, "503")


# What does not answer


def test_an_api_that_hangs_is_said(server):
    cluster = connect()
    cluster.kind("Pod", "v1")
    cluster.transport = dataclasses.replace(cluster.transport, timeout_s=0.3)
    server.fail(0, match="/pods")
    refused(lambda: cluster.list("Pod"), "gave no answer within 0.3 s (list pods)")


def test_an_api_that_is_not_there_is_said(server, tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        server.url = f"http://127.0.0.1:{free.getsockname()[1]}"
    server.kubeconfig(tmp_path / "kubeconfig")
    refused(lambda: connect().list("Pod"), "stand-in", server.url, "refuses connections")


def over_tls(tmp_path, monkeypatch, *hosts, **issued):
    """Run a server over TLS, and return it with the authority that signed its certificate."""
    authority = Authority(tmp_path, "authority")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("api", *hosts, **issued))
    return stand_in(tmp_path, monkeypatch, tls=context), authority


@pytest.mark.parametrize(
    ("hosts", "issued", "trusted", "phrase"),
    [
        (["api.example"], {}, False, "not signed by the kubeconfig's authority"),
        (["elsewhere.example"], {}, True, "for another name"),
        (["api.example"], {"days": -1}, True, "has expired"),
    ],
)
def test_a_certificate_that_cannot_be_trusted_is_said(tmp_path, monkeypatch, hosts, issued, trusted, phrase):
    running, authority = over_tls(tmp_path, monkeypatch, *hosts, **issued)
    with running as server:
        ca = authority.file if trusted else Authority(tmp_path, "other").file
        told = {"certificate-authority": str(ca), "tls-server-name": "api.example"}
        server.kubeconfig(tmp_path / "kubeconfig", **told)
        refused(lambda: connect().list("Pod"), "cannot be trusted over TLS", phrase)


def test_a_name_that_the_kubeconfig_gives_is_trusted(tmp_path, monkeypatch):
    running, authority = over_tls(tmp_path, monkeypatch, "api.example")
    with running as server:
        told = {"certificate-authority": str(authority.file), "tls-server-name": "api.example"}
        server.kubeconfig(tmp_path / "kubeconfig", **told)
        assert connect().list("Pod") == []


# The kubeconfig


def test_the_context_is_known_by_its_name(server):
    assert connect().context == "stand-in"
    assert Cluster.connect("serving", "stand-in").context == "stand-in"


def test_an_unknown_context_is_said_with_those_that_there_are(server):
    refused(lambda: Cluster.connect("serving", "production"), "no context production", "it has stand-in")


def test_no_kubeconfig_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nowhere"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    refused(connect, f"there is no kubeconfig at {tmp_path / 'nowhere'}", "KUBECONFIG")


def test_a_second_kubeconfig_is_read_as_well(server, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "contexts": []}))
    monkeypatch.setenv("KUBECONFIG", f"{other}:{tmp_path / 'kubeconfig'}:{tmp_path / 'nowhere'}")
    assert connect().context == "stand-in"


@pytest.mark.parametrize("content", ["", "token: [secret-of-the-file", "contexts: 3", "- a list"])
def test_a_broken_kubeconfig_is_said_without_its_content(tmp_path, monkeypatch, content):
    path = tmp_path / "kubeconfig"
    path.write_text(content)
    monkeypatch.setenv("KUBECONFIG", str(path))
    assert "secret-of-the-file" not in refused(connect, f"the kubeconfig {path}")


def test_a_user_without_credentials_is_said(server, tmp_path, monkeypatch):
    server.url = "https://127.0.0.1:1"
    path = server.kubeconfig(tmp_path / "kubeconfig")
    content = yaml.safe_load(path.read_text())
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "false", "interactiveMode": "Never"}
    content["users"][0]["user"] = {"exec": plugin}
    path.write_text(yaml.safe_dump(content))
    refused(connect, "the user tester of the context stand-in", "has no credentials", "log in")


def test_a_pod_without_its_token_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nowhere"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    refused(connect, "this pod cannot ask its cluster", "service account")


@pytest.mark.parametrize(("url", "proxied"), [("https://api.example", True), ("https://127.0.0.1:6443", False)])
def test_the_environments_proxy_is_used_but_not_for_this_machine(server, tmp_path, monkeypatch, url, proxied):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    server.url = url
    server.kubeconfig(tmp_path / "kubeconfig")
    chosen = connect().transport.client.configuration.proxy
    assert chosen == ("http://proxy.example:3128" if proxied else None)
