"""arena.sh and arena.yaml: `arena serve triton` for each target of a model, and the objects that its chart makes.

The chart is tritoninferenceserver 0.10.0 of github.com/kubeflow/arena (charts/triton). The chart states no security
contexts, start-up probes and grace period, so Kubernetes uses its defaults. kubernetes.yaml states all three.
"""

from pathlib import Path

from slipway.core.templates import shell_script, yaml_documents
from slipway.manifests import common, pod_ports
from slipway.manifests.deployment_facts import TargetValues
from slipway.manifests.fleet import Fleet, header, kubectl_file
from slipway.manifests.names import GATE
from slipway.manifests.pod_resources import MIG, PRODUCT_LABEL, SHARED_GPU
from slipway.triton.server.environment import ALLOCATION

COMMANDS, OBJECTS = Path(__file__).with_name("arena.sh.j2"), Path(__file__).with_name("arena.yaml.j2")
# Arena keeps Kubernetes' grace period of 30 seconds, so Triton must drain within it.
DRAIN_S = 25


def files(fleet: Fleet) -> dict[str, str]:
    """Return the manifests for Arena, {file name: text}: arena.sh and arena.yaml, for all targets of a model.

    arena.sh has the commands, and arena.yaml the objects that these commands make.
    """
    functions = {"node_labels": _node_labels, "annotations_of": lambda d: common.metadata(d)["provenance"]}
    constants = {"common": common, "pod_ports": pod_ports, "SHARED_GPU": SHARED_GPU, "GATE": GATE}
    constants |= {"DRAIN_S": DRAIN_S, "ALLOCATION": ALLOCATION}
    values = {"fleet": fleet.deployments, **constants, **functions}
    comment = header(fleet.deployments, "bash arena.sh deploy | status | undeploy")
    return {
        **kubectl_file("arena.yaml", yaml_documents(OBJECTS, **values), fleet),
        "arena.sh": shell_script(COMMANDS, comment=comment, **values),
    }


def _node_labels(d: TargetValues) -> dict[str, str]:
    """Return the labels that a node must have for the pods of a target, {label: value}.

    `d` has the target's values in the manifests. Arena has no option for the resource of a MIG partition. On a node
    whose partitions are all equal, each partition counts as `nvidia.com/gpu`, and the product label ends in the
    partition's name, such as "-MIG-1g.10gb". So this label replaces the resource.
    """
    labels, (_, is_part, profile) = d["node_labels"], d.get("gpu_resource", "").partition(MIG)
    if not is_part or PRODUCT_LABEL not in labels:
        return labels
    return labels | {PRODUCT_LABEL: f"{labels[PRODUCT_LABEL].partition('-MIG-')[0]}-MIG-{profile}"}
