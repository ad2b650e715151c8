"""`snakemake manifests` for a CPU, from a checkpoint to files that the published schemas take; nothing is deployed."""

import signal
import subprocess
import urllib.error
import urllib.request

import model_signing
import pytest
import yaml
from helpers.artifacts.deployable import served
from helpers.artifacts.published import key_pair
from helpers.kubernetes_api.server import ApiServer
from helpers.patience import PATIENCE_S
from helpers.programs.prometheus import programs_or_skip
from helpers.workplace import CLOSED_PROXIES
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from slipway.core.artifacts import read_json, sha256
from slipway.manifests.pod_ports import GRPC, HTTP, METRICS
from slipway.manifests.validation import OLDEST, validate
from slipway.triton.client.ports import Ports
from slipway.triton.server.installation import PYTHON_CONFIGURATION, find_installation
from slipway.triton.server.server_options import ServerChoice

pytestmark = pytest.mark.slow

DEPLOY = "results/tiny/deploy"
FILES = ["arena.sh", "arena.yaml", "compose.yaml", "kserve.yaml", "kubernetes.yaml", "manifests.json", "sbom.cdx.json"]


@pytest.fixture(scope="module")
def made(good_run, tmp_path_factory):
    """Return a folder in which the manifests of a tiny model were written, from its engine on."""
    found = good_run.copied(tmp_path_factory.mktemp("manifests"))
    found.config["targets"]["cpu"]["runtime"] = "openvino"
    found.config["triton"] = {"release": "26.08"}
    found.config["deploy"]["to"] = "kubernetes"
    # A sampler of memory has to see the server, which answers a few requests in less time than it sleeps.
    found.config["load_test"]["requests"] = 200
    found.write_config()
    found.first_words = found.snakemake("manifests").succeeded().said
    return found


def planned(place, target="manifests"):
    """Return the rules that a dry run plans."""
    said = place.snakemake("-n", target).succeeded().said
    return [] if "Nothing to be done" in said else said.partition("Job stats:")[2].split()


def test_all_are_written_and_nothing_is_deployed(made):
    assert set(FILES) <= {path.name for path in made.path(DEPLOY).iterdir()}
    assert not made.path(f"{DEPLOY}/receipt.json").exists()
    assert not made.path("results/.server").exists()
    assert "WARNING, cpu: not verified that this Triton runs what openvino" in made.first_words


def test_kubernetes_takes_them(made):
    for name in ("arena.yaml", "kserve.yaml", "kubernetes.yaml"):
        for found in yaml.safe_load_all(made.path(f"{DEPLOY}/{name}").read_text(encoding="utf-8")):
            validate(found, OLDEST)


def test_each_value_came_from_what_was_measured_here(made):
    record = read_json(made.path(f"{DEPLOY}/manifests.json"))
    selection = read_json(made.path("results/tiny/cpu/selection.json"))
    assert record["values"]["cpu"]["instances"] == {
        "value": selection["instances"],
        "source": "results/tiny/cpu/selection.json",
        "key": "instances",
    }
    assert all(sha256(made.path(path)) == digest for path, digest in record["artifacts"].items())
    assert record["files"]["kubernetes.yaml"] == sha256(made.path(f"{DEPLOY}/kubernetes.yaml"))


def test_nothing_is_stale_until_something_changes(made):
    assert planned(made) == []
    made.configure("deploy.cluster", {"replicas": 2})
    jobs = planned(made)
    made.configure("deploy.cluster", {})
    assert "write_manifests" in jobs
    assert "load_test" not in jobs
    assert "write_repository" not in jobs


def test_the_workflow_deploys_there_once_and_takes_it_away(made, tmp_path):
    receipt = f"{DEPLOY}/receipt.kubernetes.json"
    repository = made.path("results/tiny/cpu/repository")
    with ApiServer(namespace="inference") as api, served(repository, tmp_path) as server:
        api.claim("model-repository")
        api.node("node-1")
        api.forward_to({HTTP: server.ports.http, GRPC: server.ports.grpc, METRICS: server.ports.metrics})
        cluster = {"KUBECONFIG": str(api.kubeconfig(tmp_path / "kubeconfig"))}
        made.snakemake(receipt, **cluster).succeeded()
        assert read_json(made.path(receipt))["targets"]["cpu"]["smoke_test"]["agreement"]["relative_error"] < 1e-3
        assert api.one("Deployment", "tiny-cpu") is not None
        assert planned(made, receipt) == []
        made.snakemake("undeploy", **cluster).succeeded()
        assert api.one("Deployment", "tiny-cpu") is None
    assert not made.path(receipt).exists()


def test_a_cpu_needs_no_release(made):
    made.configure("triton", {})
    try:
        said = made.snakemake("-n", "manifests", "deploy").succeeded().said
    finally:
        made.configure("triton", {"release": "26.08"})
    assert "Writing the manifests of tiny" in said


def test_random_weights_are_refused_elsewhere_before_anything_is_measured_and_may_have_manifests(made, tmp_path):
    weights = made.config["models"]["tiny"]["weights"]
    made.configure("models.tiny.weights", "random")
    try:
        for target, denied in (("deploy", "not deployed to kubernetes"), ("publish", "not published")):
            made.snakemake("-n", target).refused("config: `models.tiny.weights` is random", denied)
        made.snakemake("-n", "manifests").succeeded()
        # Only the job learns that there are no weights; it runs before anything is measured.
        made.configure("models.tiny.weights", "default")
        away = CLOSED_PROXIES | {"TORCH_HOME": str(tmp_path)}
        refused = (
            "could not be downloaded",
            "random weights are not deployed to kubernetes or published: set",
        )
        made.snakemake("deploy", **away).refused(*refused)
    finally:
        made.configure("models.tiny.weights", weights)


def test_prometheus_takes_the_configuration_that_compose_gives_it(made, pytestconfig, tmp_path):
    [composition] = yaml.safe_load_all(made.path(f"{DEPLOY}/compose.yaml").read_text(encoding="utf-8"))
    config = tmp_path / "prometheus.yml"
    config.write_text(composition["configs"]["prometheus"]["content"], encoding="utf-8")
    promtool = programs_or_skip(pytestconfig).promtool
    subprocess.run([promtool, "check", "config", "--syntax-only", config], check=True)
    for name in ("rules", "dashboard"):
        assert (made.path(DEPLOY) / composition["configs"][name]["file"]).is_file()


def containers(made):
    """Return the container of kubernetes.yaml."""
    objects = yaml.safe_load_all(made.path(f"{DEPLOY}/kubernetes.yaml").read_text(encoding="utf-8"))
    [deployment] = [found for found in objects if found["kind"] == "Deployment"]
    return deployment["spec"]["template"]["spec"]["containers"]


@retry(retry=retry_if_exception_type(urllib.error.URLError), stop=stop_after_delay(PATIENCE_S), wait=wait_fixed(0.2))
def status_of(url):
    """Return the status of an answer, once there is one that is no error."""
    without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with without_proxy.open(url, timeout=PATIENCE_S) as answer:
        return answer.status


def test_a_real_triton_takes_the_arguments_and_answers_the_probes(made, tmp_path):
    """The server that is here has the Python backend only, so it is told to take that configuration."""
    [container] = containers(made)
    installation, ports = find_installation(tmp_path, ServerChoice("wheel")), Ports.free()
    replaced = {"--model-repository": made.path("results/tiny/cpu/repository"), "--http-port": ports.http}
    replaced |= {"--grpc-port": ports.grpc, "--metrics-port": ports.metrics}
    given = [argument.partition("=") for argument in container["args"][1:]]
    arguments = [f"{name}{sign}{replaced.get(name, value)}" for name, sign, value in given]
    command = [installation.program, *installation.flags, f"--model-config-name={PYTHON_CONFIGURATION}", *arguments]
    with open(tmp_path / "log", "wb") as log:
        server = subprocess.Popen(command, cwd=installation.folder, stdout=log, stderr=subprocess.STDOUT)
    try:
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            path = container[probe]["httpGet"]["path"]
            assert status_of(f"http://127.0.0.1:{ports.http}{path}") == 200
        assert status_of(f"http://127.0.0.1:{ports.metrics}/metrics") == 200
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=PATIENCE_S) == 0, (tmp_path / "log").read_text(encoding="utf-8", errors="replace")
    finally:
        server.kill()


def test_publishing_nowhere_is_refused_before_anything_runs(made):
    before = made.artifacts()
    made.snakemake("publish").refused("`deploy.publish.to` is not set")
    assert made.artifacts() == before


def test_a_signed_repository_lies_where_the_manifests_look_for_it(made):
    private, public = key_pair(made.folder)
    made.configure("deploy.publish", {"to": "claim"})
    made.snakemake("publish").refused("`deploy.publish.to` is 'claim', but this folder does not exist")
    made.path("claim").mkdir()
    made.configure("deploy.signing", {"private_key": private.name, "public_key": public.name})
    made.snakemake("publish").succeeded()
    [values] = read_json(made.path(f"{DEPLOY}/manifests.json"))["values"].values()
    folder = made.path("claim") / values["repository_path"]["value"]
    model_signing.verifying.Config().use_elliptic_key_verifier(public_key=public).verify(folder, f"{folder}.sig")
    assert read_json(folder.with_name(f"{folder.name}.json"))["index_sha256"] == values["index_sha256"]["value"]
    made.configure("deploy.publish", {"to": "claim", "keep_versions": 1})
    assert planned(made, "publish") == []
    files = [path for part in ("results", "logs", "claim") for path in made.path(part).rglob("*") if path.is_file()]
    secrets = private.read_bytes().splitlines()[1], sha256(private).encode()
    assert not [path for path in files if any(secret in path.read_bytes() for secret in secrets)]
