"""kserve.yaml: for each target of a model an InferenceService and a ServingRuntime with its Triton."""

from slipway.manifests.common import METRICS, triton_command
from slipway.manifests.fleet import Fleet, kubectl_file
from slipway.manifests.kubernetes import BUSY_PERCENT
from slipway.manifests.names import metadata_of_target
from slipway.manifests.pod_resources import resources
from slipway.manifests.pods import GRACE_S, container, placement, probes, pull_secrets, rights, rollout, volumes
from slipway.runtimes import RUNTIMES

# The port on which KServe expects a server, and the folder where it puts the model.
HTTP, GRPC = 8080, 9000
MODELS = "/mnt/models"
CONTAINER = "kserve-container"


def files(fleet: Fleet) -> dict[str, str]:
    """Return {file: text} for KServe."""
    return kubectl_file("kserve.yaml", objects(fleet.deployments), fleet)


def objects(fleet: list[dict]) -> list[dict]:
    """Return the ServingRuntime and the InferenceService of each target."""
    return [found for d in fleet for found in (serving_runtime(d), inference_service(d))]


def serving_runtime(d: dict) -> dict:
    """Return the server of one target. KServe's own runtime is an older Triton, which cannot load these engines."""
    served = container(d, CONTAINER, triton_command(d, HTTP, GRPC, MODELS)) | probes(d, HTTP)
    # KServe would insert its defaults if the service had none.
    del served["resources"]
    served["ports"] = [{"name": "http1", "containerPort": HTTP, "protocol": "TCP"}]
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ServingRuntime",
        "metadata": metadata_of_target(d),
        "spec": {
            "annotations": {"prometheus.kserve.io/path": "/metrics", "prometheus.kserve.io/port": str(METRICS)},
            "supportedModelFormats": [{**_format(d), "autoSelect": False}],
            "protocolVersions": ["v2", "grpc-v2"],
            "containers": [served],
            "volumes": volumes(d),
        },
    }


def inference_service(d: dict) -> dict:
    """Return the service of one target, in KServe's RawDeployment mode; Knative would start it from zero replicas."""
    metadata = metadata_of_target(d)
    metadata["annotations"] |= {
        "serving.kserve.io/deploymentMode": "RawDeployment",
        "serving.kserve.io/autoscalerClass": "hpa" if _is_scaled(d) else "external",
        "serving.kserve.io/enable-prometheus-scraping": "true",
    }
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": metadata,
        "spec": {"predictor": predictor(d)},
    }


def predictor(d: dict) -> dict:
    """Return the predictor: the model, its repository, its number of replicas, and its nodes."""
    scaling = {"scaleMetric": "cpu", "scaleTarget": BUSY_PERCENT} if _is_scaled(d) else {}
    return {
        "automountServiceAccountToken": False,
        "deploymentStrategy": rollout(d),
        "enableServiceLinks": False,
        "maxReplicas": d["max_replicas"] if _is_scaled(d) else d["replicas"],
        "minReplicas": d["replicas"],
        "model": _model(d),
        "securityContext": rights(),
        "terminationGracePeriodSeconds": GRACE_S,
        **scaling,
        **placement(d),
        **pull_secrets(d),
    }


def _model(d: dict) -> dict:
    return {
        "modelFormat": _format(d),
        "protocolVersion": "v2",
        "resources": resources(d),
        "runtime": d["name"],
        "storageUri": f"pvc://{d['claim']}/{d['repository_path']}",
    }


def _format(d: dict) -> dict:
    native = RUNTIMES[d["runtime"]].native_backend
    return {"name": native.kserve_format, "version": d["runtime_version"].split(".")[0]}


def _is_scaled(d: dict) -> bool:
    """Say whether KServe adds replicas. It scales by CPU use, which does not show a GPU's load."""
    return d["max_replicas"] > d["replicas"] and not d["on_gpu"]
