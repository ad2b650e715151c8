"""What tests of a cluster start from: a stand-in of its API, a client of it, and the objects of a deployment."""

from contextlib import contextmanager

from helpers.kubernetes_api.server import ApiServer
from slipway.cluster.api import Cluster
from slipway.manifests import kubernetes
from slipway.monitoring.slo import ServiceLevel


@contextmanager
def stand_in(folder, monkeypatch, **settings):
    """Run an API server and name its kubeconfig in the environment."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    # Waits between attempts are for real clusters.
    monkeypatch.setattr("slipway.cluster.transport._backoff", lambda _: 0.0)
    with ApiServer(**settings) as server:
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig(folder / "kubeconfig")))
        yield server


def connect(timeout_s=20, namespace="serving"):
    """Return a client of the cluster that the environment names."""
    return Cluster.connect(namespace, timeout_s=timeout_s)


def target(**values):
    """Return what manifests say of a target: a GPU's, with one replica, unless it is told otherwise."""
    return VALUES | values


def objects(**values):
    """Return the objects of kubernetes.yaml for one target."""
    return kubernetes.objects([target(**values)], PROMISE)


def services(**values):
    """Return the objects of kserve.yaml for one target."""
    return kubernetes.kserve_objects([target(**values)])


def one(found, kind):
    """Return the one object of a kind."""
    [only] = [each for each in found if each["kind"] == kind]
    return only


PROMISE = ServiceLevel(
    model="resnet50_trt",
    origin="checkpoint",
    p99_ms=9.0,
    p99_limit_ms=50.0,
    throughput_per_s=2000.0,
    concurrency=4,
    queue_ms=1.0,
    compute_ms=4.0,
    max_batch_size=16,
    instances=2,
    on_gpu=True,
    artifacts={"selection.json": "ef" * 32},
)
VALUES = {
    "model": "resnet50",
    "target": "h100",
    "app": "resnet50",
    "name": "resnet50-h100",
    "namespace": "serving",
    "served_as": "resnet50_trt",
    "version": "v0123456789ab",
    "repository_path": "resnet50/h100/v0123456789ab",
    "runtime": "tensorrt",
    "runtime_version": "11.2.1.2",
    "precision": "fp16",
    "hardware": "NVIDIA H100 80GB HBM3 (compute capability 9.0)",
    "load_compatible": False,
    "max_batch_size": 16,
    "instances": 2,
    "weights_sha256": "ab" * 32,
    "index_sha256": "cd" * 32,
    "selection_sha256": "ef" * 32,
    "load_test_sha256": "01" * 32,
    "image": "nvcr.io/nvidia/tritonserver:26.08-py3",
    "triton_release": "26.08",
    "is_rehearsal": False,
    "warnings": [],
    "replicas": 1,
    "max_replicas": 1,
    "busy_percent": 70,
    "pending": 32,
    "sizing": None,
    "claim": "models",
    "claim_path": "",
    "image_pull_secrets": [],
    "service_type": "ClusterIP",
    "client_namespaces": [],
    "monitoring_namespace": "monitoring",
    "prometheus_operator": True,
    "prometheus_operator_labels": {},
    "ready_timeout_s": 60,
    "on_gpu": True,
    "gpu_resource": "nvidia.com/gpu",
    "gpu_quantity": 1,
    "memory_mib": 2048,
    "shm_mib": 256,
    "cpus": 2,
    "node_labels": {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"},
}
