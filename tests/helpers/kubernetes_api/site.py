"""A model to deploy to a stand-in of a cluster, whose pods' ports are those of real Triton servers."""

import pytest

import deploy
from helpers.artifacts.deployable import Deployable, served
from helpers.kubernetes_api.server import ApiServer
from slipway.cluster.api_resources import provenance
from slipway.core.artifacts import read_json
from slipway.core.errors import SlipwayError
from slipway.manifests import pod_ports

INDEX = "slipway/repository-index"


@pytest.fixture(scope="module")
def trained_servers(tmp_path_factory):
    """Return {seed: a real server of that training}."""
    folder = tmp_path_factory.mktemp("servers")
    made = {seed: Deployable(folder / str(seed)).train(seed) for seed in (0, 1)}
    with served(made[0].repository(), folder / "0") as first, served(made[1].repository(), folder / "1") as second:
        yield {0: first, 1: second}


class Killed(BaseException):
    """What stands for a kill."""

    @classmethod
    def now(cls, *_):
        raise cls


class Pods(dict):
    """The ports of pods: those of the server whose training the newest pod of the stand-in has."""

    def __init__(self, api, servers):
        self.api, self.servers, self.seeds = api, servers, {}

    def __getitem__(self, port):
        pods = [each for each in self.api.objects if each["kind"] == "Pod"]
        index = pods[-1]["metadata"]["annotations"][INDEX]
        ports = self.servers[self.seeds[index]].ports
        kinds = {
            pod_ports.HTTP: ports.http,
            pod_ports.KSERVE_HTTP: ports.http,
            pod_ports.GRPC: ports.grpc,
            pod_ports.KSERVE_GRPC: ports.grpc,
        }
        return (kinds | {pod_ports.METRICS: ports.metrics})[port]


class Site(Deployable):
    """A model to deploy to the stand-in."""

    def __init__(self, folder, api, servers, to="kubernetes", targets=("cpu",), **deploy):
        super().__init__(folder, targets, cluster={"namespace": api.namespace}, **deploy)
        self.api, self.to = api, to
        api.forwards = self.pods = Pods(api, servers)

    def train(self, seed, **settings):
        super().train(seed, **settings)
        self.pods.seeds |= {f"sha256:{self.index(target)}": seed for target in self.measured.targets}
        return self

    def options(self, *more):
        return ["--to", self.to, "--results", str(self.results), "--ready-timeout-s", "4", *more]

    def run(self, program, *more):
        program.main(program.parse_arguments(self.options(*more)))

    def run_until_killed(self, monkeypatch):
        """Deploy until all is started, and leave it as a kill does: nothing is proven, nobody goes back."""
        with monkeypatch.context() as context:
            context.setattr("slipway.deploy.transaction.prove", Killed.now)
            context.setattr("slipway.deploy.transaction.undo", Killed.now)
            with pytest.raises(Killed):
                self.run(deploy)

    def refused(self, *phrases, program=deploy):
        """Require a deployment to fail with these phrases."""
        with pytest.raises(SlipwayError) as caught:
            self.run(program)
        missing = [phrase for phrase in phrases if phrase not in str(caught.value)]
        assert not missing, f"{missing} is not in: {caught.value}"

    @property
    def receipt(self):
        path = self.results / "deploy" / f"receipt.{self.to}.json"
        return read_json(path) if path.is_file() else None

    def history(self):
        """Return the record of the release history."""
        return read_json(self.results / "deploy" / self.to / "history.json")

    def live(self):
        """Return what was applied, as it is in the cluster, without what the cluster adds."""
        kinds = ("Deployment", "Service", "NetworkPolicy", "ServingRuntime", "InferenceService")
        kinds += ("PodMonitor", "PrometheusRule")
        found = [
            each for each in self.api.objects if each["kind"] in kinds and "ownerReferences" not in each["metadata"]
        ]
        return {(each["kind"], each["metadata"]["name"]): (each.get("spec"), provenance(each)) for each in found}


@pytest.fixture
def api(tmp_path, monkeypatch):
    """Return a cluster with room for the model."""
    monkeypatch.chdir(tmp_path)
    # No image is pulled here.
    monkeypatch.setattr("slipway.manifests.pod_ports.PULL_S", 0)
    with ApiServer() as server:
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig(tmp_path / "kubeconfig")))
        server.claim("model-repository")
        server.node("node-1")
        yield server
