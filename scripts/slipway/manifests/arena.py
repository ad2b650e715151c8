"""arena.sh and arena.yaml: `arena serve triton` for each target of a model, and the objects that its chart makes.

The chart is tritoninferenceserver 0.10.0 of github.com/kubeflow/arena (charts/triton). It leaves security contexts,
start-up probes and the grace period to Kubernetes' defaults; kubernetes.yaml has them.
"""

import shlex

from slipway.manifests.common import DRAWN, GRPC, HTTP, METRICS, MODELS, guards, triton_flags
from slipway.manifests.fleet import Fleet, header, kubectl_file
from slipway.manifests.names import annotations
from slipway.manifests.pod_resources import PRODUCT_LABEL, SHARED_GPU, mig_profile

APP = "tritoninferenceserver"
CHART = f"{APP}-0.10.0"
# The shell replaces itself with Triton, so that Triton gets SIGTERM. The chart's default, sh, would stay in front of
# it.
SHELL = "bash"
# Arena keeps Kubernetes' grace period of 30 seconds, so Triton must drain within it.
DRAIN_S = 25
# The environment variables in which the chart states a pod's own names.
FIELDS = {
    "ARENA_NODE_NAME": "spec.nodeName",
    "ARENA_POD_NAMESPACE": "metadata.namespace",
    "ARENA_POD_NAME": "metadata.name",
    "ARENA_POD_IP": "status.podIP",
}


def files(fleet: Fleet) -> dict[str, str]:
    """Return {file: text} of Arena's commands and of the objects that it makes."""
    comment = header(fleet.deployments, "bash arena.sh deploy | status | undeploy")
    made = kubectl_file("arena.yaml", objects(fleet.deployments), fleet)
    return made | {"arena.sh": script(fleet.deployments, comment)}


def script(fleet: list[dict], comment: str) -> str:
    """Return a Bash script that deploys, shows and removes every target of a model with Arena."""
    namespace = f"--namespace={fleet[0]['namespace']}"
    named = [[d["name"], f"--version={d['version']}", namespace] for d in fleet]
    parts = {
        "deploy": [["arena", "serve", "triton", *options(d)] for d in fleet],
        "status": [["arena", "serve", "list", namespace], *(["arena", "serve", "get", *words] for words in named)],
        "undeploy": [["arena", "serve", "delete", *words] for words in named],
    }
    functions = "\n".join(_function(name, commands) for name, commands in parts.items())
    return f"#!/usr/bin/env bash\n{comment}set -euo pipefail\n\n{functions}\n{_CHOICE}"


def options(d: dict) -> list[str]:
    """Return the options of `arena serve triton`, each as one word."""
    gpu = _gpu_options(d)
    return [
        f"--name={d['name']}",
        f"--version={d['version']}",
        f"--namespace={d['namespace']}",
        f"--image={d['image']}",
        f"--image-pull-policy={_pull_policy(d)}",
        *(f"--image-pull-secret={name}" for name in d["image_pull_secrets"]),
        f"--replicas={d['replicas']}",
        f"--cpu={d['cpus']}",
        f"--memory={d['memory_mib']}Mi",
        *gpu,
        *(f"--selector={key}={value}" for key, value in sorted(node_labels(d).items())),
        *(f"--annotation={key}={value}" for key, value in sorted(_annotations(d).items())),
        f"--data={d['claim']}:{MODELS}",
        f"--model-repository={_repository(d)}",
        f"--http-port={HTTP}",
        f"--grpc-port={GRPC}",
        f"--metrics-port={METRICS}",
        "--allow-metrics=true",
        f"--shell={SHELL}",
        f"--extend-command={_flags(d)}",
    ]


def node_labels(d: dict) -> dict[str, str]:
    """Return the labels of the nodes for the pods.

    Arena has no option for the resource of a GPU partition. If all partitions of a node's GPUs are alike, each counts
    as `nvidia.com/gpu`, and the product label names the partition.
    """
    labels, part = dict(d["node_labels"]), mig_profile(d.get("gpu_resource", ""))
    if part and PRODUCT_LABEL in labels:
        labels[PRODUCT_LABEL] = f"{labels[PRODUCT_LABEL].partition('-MIG-')[0]}-MIG-{part}"
    return labels


def objects(fleet: list[dict]) -> list[dict]:
    """Return the objects that Arena's chart makes from the commands, except its time stamp and the user's name."""
    return [found for d in fleet for found in (deployment(d), service(d))]


def deployment(d: dict) -> dict:
    """Return the chart's Deployment."""
    selector = {"release": _release(d), "app": APP}
    labels = {**_labels(d), "serviceName": d["name"]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(d) | {"annotations": _annotations(d)},
        "spec": {
            "replicas": d["replicas"],
            "strategy": {"type": "RollingUpdate"},
            "selector": {"matchLabels": selector},
            "template": {"metadata": {"labels": labels, "annotations": _annotations(d)}, "spec": _pod(d)},
        },
    }


def service(d: dict) -> dict:
    """Return the chart's Service."""
    ports = {"http-serving": HTTP, "grpc-serving": GRPC, "http-metrics": METRICS}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(d),
        "spec": {
            "type": "ClusterIP",
            "ports": [{"name": name, "port": port, "targetPort": port} for name, port in ports.items()],
            "selector": {"release": _release(d), "app": APP},
        },
    }


def command_line(d: dict) -> str:
    """Return the command line that the chart's shell runs."""
    listening = f"--http-port={HTTP} --grpc-port={GRPC} --metrics-port={METRICS} --allow-metrics=true"
    return f"tritonserver {listening} --model-repository={_repository(d)} {_flags(d)}"


def _flags(d: dict) -> str:
    """Return the flags that the chart's shell adds; the shell makes the key of the restricted APIs."""
    return " ".join([*triton_flags(d, DRAIN_S), *guards(d, DRAWN)])


def _pod(d: dict) -> dict:
    secrets = [{"name": name} for name in d["image_pull_secrets"]]
    return {
        **({"nodeSelector": node_labels(d)} if d["node_labels"] else {}),
        **({"imagePullSecrets": secrets} if secrets else {}),
        "containers": [_container(d)],
        "volumes": [{"name": d["claim"], "persistentVolumeClaim": {"claimName": d["claim"]}}],
    }


def _container(d: dict) -> dict:
    return {
        "name": "tritonserver",
        "image": d["image"],
        "imagePullPolicy": _pull_policy(d),
        "env": _environment(d),
        "command": [SHELL, "-c"],
        "args": [command_line(d)],
        "ports": [
            {"name": "http", "containerPort": HTTP, "protocol": "TCP"},
            {"name": "grpc", "containerPort": GRPC},
            {"name": "metrics", "containerPort": METRICS},
        ],
        "livenessProbe": _probe("live"),
        "readinessProbe": _probe("ready"),
        "resources": {"limits": _limits(d)},
        "volumeMounts": [{"name": d["claim"], "mountPath": MODELS}],
    }


def _probe(kind: str) -> dict:
    asked = {"path": f"/v2/health/{kind}", "port": "http"}
    return {"httpGet": asked, "initialDelaySeconds": 100, "periodSeconds": 5, "failureThreshold": 30}


def _environment(d: dict) -> list[dict]:
    hidden = [] if d["on_gpu"] else [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}]
    told = [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in FIELDS.items()]
    return hidden + told


def _limits(d: dict) -> dict[str, str]:
    limits = {"cpu": str(d["cpus"]), "memory": f"{d['memory_mib']}Mi"}
    if d["on_gpu"]:
        shared = d["gpu_resource"] == SHARED_GPU
        limits[SHARED_GPU if shared else "nvidia.com/gpu"] = str(d["gpu_quantity"])
    return limits


def _gpu_options(d: dict) -> list[str]:
    if not d["on_gpu"]:
        return []
    return [f"--gpu{'memory' if d['gpu_resource'] == SHARED_GPU else 's'}={d['gpu_quantity']}"]


def _pull_policy(d: dict) -> str:
    return "IfNotPresent" if "@sha256:" in d["image"] else "Always"


def _repository(d: dict) -> str:
    return f"{MODELS}/{d['repository_path']}"


def _annotations(d: dict) -> dict[str, str]:
    return {key: value for key, value in annotations(d).items() if key != "slipway/warnings"}


def _release(d: dict) -> str:
    return f"{d['name']}-{d['version']}"


def _metadata(d: dict) -> dict:
    name = f"{_release(d)}-{APP}"[:63].removesuffix("-")
    return {"name": name, "namespace": d["namespace"], "labels": _labels(d)}


def _labels(d: dict) -> dict[str, str]:
    return {
        "heritage": "Helm",
        "release": _release(d),
        "chart": CHART,
        "app": APP,
        "servingName": d["name"],
        "servingVersion": d["version"],
        "servingType": "triton-serving",
    }


def _function(name: str, commands: list[list[str]]) -> str:
    lines = [" \\\n    ".join(_lines(command)) for command in commands]
    return f"{name}() {{\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


def _lines(command: list[str]) -> list[str]:
    """Return a command as quoted words, with one option a line if it has many."""
    words = [shlex.quote(word) for word in command]
    start = next((place for place, word in enumerate(words) if word.startswith("--")), len(words))
    return [" ".join(words[:start]), *words[start:]] if len(words) > 8 else [" ".join(words)]


_CHOICE = """\
case "${1:-}" in
  deploy | status | undeploy) "$1" ;;
  *)
    echo "usage: bash $0 deploy|status|undeploy" >&2
    exit 2
    ;;
esac
"""
