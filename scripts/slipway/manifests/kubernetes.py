"""kubernetes.yaml: a Deployment for each target of a model, and the objects that all targets share."""

from slipway.manifests import prometheus
from slipway.manifests.common import GRPC, HTTP, METRICS, MODELS, triton_command
from slipway.manifests.fleet import Fleet, kubectl_file
from slipway.manifests.names import metadata_of_model, metadata_of_target, selector_of_model, selector_of_target
from slipway.manifests.pods import GRACE_S, container, placement, probes, pull_secrets, rights, rollout, volumes
from slipway.monitoring.slo import ServiceLevel

# Seconds for a node to pull the image, in addition to the server's start.
PULL_S = 900
# CPU utilisation at which another replica of a CPU target starts.
BUSY_PERCENT = 70


def files(fleet: Fleet) -> dict[str, str]:
    """Return {file: text} for plain Kubernetes."""
    return kubectl_file("kubernetes.yaml", objects(fleet.deployments, fleet.slo), fleet)


def objects(fleet: list[dict], slo: ServiceLevel) -> list[dict]:
    """Return all objects of a model: first the shared ones, then the objects of each target.

    `slo` has the load test's figures of the slowest target. The alerts of all targets use them.
    """
    shared = [service_account(fleet[0]), service(fleet[0]), network_policy(fleet[0])]
    shared += prometheus.objects(fleet, slo) if fleet[0]["prometheus_operator"] else []
    return shared + [found for d in fleet for found in (deployment(d), *disruption_budget(d), *autoscaler(d))]


def service_account(d: dict) -> dict:
    """Return a service account without any rights: Triton sends no requests to the cluster's API."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata_of_model(d),
        "automountServiceAccountToken": False,
    }


def service(d: dict) -> dict:
    """Return the Service of a model, for its pods on every target. Prometheus scrapes the pods themselves."""
    ports = {"http": HTTP, "grpc": GRPC}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata_of_model(d),
        "spec": {
            "type": d["service_type"],
            "selector": selector_of_model(d),
            "ports": [
                {"name": name, "port": port, "targetPort": name, "protocol": "TCP"} for name, port in ports.items()
            ],
        },
    }


def network_policy(d: dict) -> dict:
    """Return the NetworkPolicy: clients of allowed namespaces and Prometheus may reach the pods; pods reach nobody."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata_of_model(d),
        "spec": {
            "podSelector": {"matchLabels": selector_of_model(d)},
            "policyTypes": ["Egress", "Ingress"],
            "egress": [],
            "ingress": [
                _clients(d),
                {"from": [_namespace(d["monitoring_namespace"])], "ports": [_port("metrics")]},
            ],
        },
    }


def deployment(d: dict) -> dict:
    """Return the Deployment of a model on one target. It has no number of replicas if an autoscaler sets that."""
    labels = selector_of_target(d)
    counted = {} if autoscaler(d) else {"replicas": d["replicas"]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata_of_target(d),
        "spec": {
            **counted,
            "revisionHistoryLimit": 3,
            "progressDeadlineSeconds": int(PULL_S + d["ready_timeout_s"]),
            "strategy": rollout(d),
            "selector": {"matchLabels": labels},
            "template": {"metadata": _pod_metadata(d), "spec": pod(d)},
        },
    }


def pod(d: dict) -> dict:
    """Return the pod of a deployment: Triton, the claim with its repository, and two writable folders."""
    return {
        "automountServiceAccountToken": False,
        "containers": [_container(d)],
        "enableServiceLinks": False,
        "securityContext": rights(),
        "serviceAccountName": d["app"],
        "terminationGracePeriodSeconds": GRACE_S,
        "volumes": [*volumes(d), _claim(d)],
        **placement(d),
        **pull_secrets(d),
        **_spread(d),
    }


def disruption_budget(d: dict) -> list[dict]:
    """Return the PodDisruptionBudget, which keeps all replicas but one while a node drains. One replica gets none."""
    if d["replicas"] < 2:
        return []
    return [
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": metadata_of_target(d),
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": selector_of_target(d)}},
        }
    ]


def autoscaler(d: dict) -> list[dict]:
    """Return the HorizontalPodAutoscaler, if more replicas are allowed than there are at first."""
    if d["max_replicas"] <= d["replicas"]:
        return []
    return [
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": metadata_of_target(d),
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": d["name"]},
                "minReplicas": d["replicas"],
                "maxReplicas": d["max_replicas"],
                "metrics": [_load(d)],
                "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
            },
        }
    ]


def _container(d: dict) -> dict:
    served = container(d, "triton", triton_command(d))
    ports = {"http": HTTP, "grpc": GRPC, "metrics": METRICS}
    served["ports"] = [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in ports.items()]
    repository = {"name": "models", "mountPath": MODELS, "subPath": d["repository_path"], "readOnly": True}
    served["volumeMounts"] = [repository, *served["volumeMounts"]]
    return served | probes(d, "http")


def _pod_metadata(d: dict) -> dict:
    """Return the pod's labels and annotations. The hashes in these make Kubernetes roll out a new repository."""
    return {kind: metadata_of_target(d)[kind] for kind in ("labels", "annotations")}


def _claim(d: dict) -> dict:
    return {"name": "models", "persistentVolumeClaim": {"claimName": d["claim"], "readOnly": True}}


def _spread(d: dict) -> dict:
    """Return the constraint that spreads replicas over different nodes if possible."""
    if d["max_replicas"] < 2:
        return {}
    constraint = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector_of_target(d)},
    }
    return {"topologySpreadConstraints": [constraint]}


def _load(d: dict) -> dict:
    """Return the load above which a replica is added.

    On a CPU it is the utilisation. On a GPU it is the number of waiting requests: more than all instances compute at
    once. Kubernetes gets that metric of Triton from an adapter such as prometheus-adapter.
    """
    if not d["on_gpu"]:
        target = {"type": "Utilization", "averageUtilization": BUSY_PERCENT}
        return {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    waiting = {"type": "AverageValue", "averageValue": str(d["instances"] * d["max_batch_size"])}
    return {"type": "Pods", "pods": {"metric": {"name": "nv_inference_pending_request_count"}, "target": waiting}}


def _clients(d: dict) -> dict:
    """Return the ingress rule for clients. A Service that is open to the outside cannot tell clients by namespace."""
    ports = [_port("http"), _port("grpc")]
    if d["service_type"] != "ClusterIP":
        return {"ports": ports}
    others = [_namespace(name) for name in sorted(d["client_namespaces"])]
    return {"from": [{"podSelector": {}}, *others], "ports": ports}


def _namespace(name: str) -> dict:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def _port(name: str) -> dict:
    return {"port": name, "protocol": "TCP"}
