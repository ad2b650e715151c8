"""kserve.yaml and compose.yaml, and that every server serves alike."""

import pytest
import yaml
from helpers.artifacts.measured import DIGEST, L4, gpu_target

from slipway.triton.server.environment import ALLOCATION, allocation


def pod(found, target="h100"):
    return found.one("kubernetes.yaml", "Deployment", target)["spec"]["template"]["spec"]


def container(found, target="h100"):
    [only] = pod(found, target)["containers"]
    return only


def flags(command):
    return [word for word in command if word.startswith("--")]


# KServe


def test_the_service_runs_on_its_own_runtime_of_this_triton(measured):
    found = measured().written()
    runtime, service = found.objects("kserve.yaml")
    model = service["spec"]["predictor"]["model"]
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["protocolVersion"] in runtime["spec"]["protocolVersions"]
    assert model["modelFormat"] == {"name": "tensorrt", "version": "11"}
    [offered] = runtime["spec"]["supportedModelFormats"]
    assert offered == {**model["modelFormat"], "autoSelect": False}
    [served] = runtime["spec"]["containers"]
    assert served["name"] == "kserve-container"
    assert served["image"] == DIGEST
    assert {"--model-repository=/mnt/models", "--http-port=8080", "--grpc-port=9000"} <= set(served["args"])
    assert {served[probe]["httpGet"]["port"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")} == {8080}
    path = found.record()["values"]["h100"]["repository_path"]["value"]
    assert model["storageUri"] == f"pvc://model-repository/{path}"


def test_kserve_asks_for_what_kubernetes_asks_for(measured):
    found = measured(deploy={"cluster": {"image_pull_secrets": ["registry"]}}).written()
    predictor = found.one("kserve.yaml", "InferenceService")["spec"]["predictor"]
    assert predictor["model"]["resources"] == container(found)["resources"]
    for name in ("affinity", "tolerations", "securityContext", "terminationGracePeriodSeconds", "imagePullSecrets"):
        assert predictor[name] == pod(found)[name], name
    assert predictor["deploymentStrategy"] == found.one("kubernetes.yaml", "Deployment")["spec"]["strategy"]


def test_kserve_adds_no_replica_by_the_cpu_of_a_gpus_pod(measured):
    service = measured(deploy={"cluster": {"replicas": 2}}).written().one("kserve.yaml", "InferenceService")
    assert (service["spec"]["predictor"]["minReplicas"], service["spec"]["predictor"]["maxReplicas"]) == (2, 2)
    assert service["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == "external"


# Compose


@pytest.fixture
def composed(measured):
    targets = {"h100": gpu_target(), "l4": gpu_target(L4)}
    deploy = {"target": "l4", "host": "10.0.0.7", "http_port": 18000, "compose": {"grafana_port": 13000}}
    return measured(targets=targets, deploy=deploy).written().objects("compose.yaml")[0]


def test_one_machine_serves_the_deployed_target_of_these_results(composed):
    triton = composed["services"]["triton"]
    assert sorted(composed["services"]) == ["grafana", "prometheus", "triton"]
    [mount] = triton["volumes"]
    assert (mount["source"], mount["target"], mount["read_only"]) == ("../l4/repository", "/models", True)
    assert mount["bind"] == {"create_host_path": False}, "a repository that is not there is no empty one"
    [device] = triton["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    published = {port["target"]: (port["host_ip"], port["published"]) for port in triton["ports"]}
    assert published[8000] == ("10.0.0.7", "18000")
    assert "http://localhost:8000/v2/models/resnet50_trt/ready" in triton["healthcheck"]["test"]


def test_prometheus_asks_triton_and_grafana_asks_prometheus(composed):
    scraping = yaml.safe_load(composed["configs"]["prometheus"]["content"])
    [job] = scraping["scrape_configs"]
    assert job["static_configs"][0]["targets"] == ["triton:8002"]
    source = yaml.safe_load(composed["configs"]["datasource"]["content"])["datasources"][0]
    assert source["url"] == "http://prometheus:9090"
    targets = {each["source"]: each["target"] for each in composed["services"]["prometheus"]["configs"]}
    assert scraping["rule_files"] == [targets["rules"]]
    placed = {each["source"]: each["target"] for each in composed["services"]["grafana"]["configs"]}
    [provider] = yaml.safe_load(composed["configs"]["dashboards"]["content"])["providers"]
    assert placed["dashboard"].startswith(provider["options"]["path"])
    assert {each for service in composed["services"].values() for each in service.get("depends_on", {})} == {
        "triton",
        "prometheus",
    }


def test_every_config_and_volume_that_is_used_is_declared(composed):
    services = composed["services"].values()
    used = {each["source"] for service in services for each in service.get("configs", [])}
    volumes = {
        each["source"] for service in services for each in service.get("volumes", []) if each["type"] == "volume"
    }
    assert used == set(composed["configs"])
    assert volumes == set(composed["volumes"])


def test_the_container_drains_before_it_is_killed(composed):
    triton = composed["services"]["triton"]
    [drain] = [flag.split("=")[1] for flag in triton["command"] if flag.startswith("--exit-timeout-secs=")]
    assert int(triton["stop_grace_period"].removesuffix("s")) > int(drain)


def test_every_server_serves_alike(measured):
    found = measured().written()
    [runtime] = found.one("kserve.yaml", "ServingRuntime")["spec"]["containers"]
    commands = [container(found)["args"], runtime["args"]]
    commands.append(found.objects("compose.yaml")[0]["services"]["triton"]["command"])
    of_place = ("--model-repository", "--http-port", "--grpc-port")
    of_place += ("--grpc-restricted-protocol", "--http-restricted-api")
    alike = [[flag for flag in flags(command) if not flag.startswith(of_place)] for command in commands]
    assert alike[0] == alike[1] == alike[2]
    assert {"--disable-auto-complete-config", "--strict-readiness=true", "--allow-metrics=true"} <= set(alike[0])
    assert not any("python" in flag for flag in alike[0]), "the native backend"


def test_every_server_allocates_memory_as_the_measured_server_did(measured, monkeypatch):
    for name in ALLOCATION:
        monkeypatch.delenv(name, raising=False)
    found = measured().written()
    [runtime] = found.one("kserve.yaml", "ServingRuntime")["spec"]["containers"]
    [arena] = found.one("arena.yaml", "Deployment")["spec"]["template"]["spec"]["containers"]
    environments = [
        {each["name"]: each.get("value") for each in served["env"]} for served in (container(found), runtime, arena)
    ]
    environments.append(found.objects("compose.yaml")[0]["services"]["triton"]["environment"])
    for environment in environments:
        assert {name: environment.get(name) for name in ALLOCATION} == allocation()
