"""kubernetes.yaml: a Deployment for each target of a model, and the objects that all targets share."""

from dataclasses import replace
from pathlib import Path

from slipway.core.templates import yaml_documents
from slipway.manifests import common, names, pod_resources
from slipway.manifests.fleet import Fleet, kubectl_file
from slipway.monitoring.rules import rule_file
from slipway.monitoring.slo import ServiceLevel

TEMPLATE, POD = Path(__file__).with_name("kubernetes.yaml.j2"), Path(__file__).with_name("pod.yaml.j2")


def files(fleet: Fleet) -> dict[str, str]:
    """Return {file: text} for plain Kubernetes."""
    return kubectl_file("kubernetes.yaml", objects(fleet.deployments, fleet.slo), fleet)


def objects(fleet: list[dict], slo: ServiceLevel) -> list[dict]:
    """Return all objects of a model: first the shared ones, then the objects of each target.

    `slo` has the load test's figures of the slowest target. The alerts of all targets use them.
    """
    rules = rule_file(replace(slo, namespace=fleet[0]["namespace"]))
    modules = {"common": common, "names": names, "pod_resources": pod_resources}
    return yaml_documents(TEMPLATE, fleet=fleet, model=fleet[0], rules=rules, pod_parts=pod_parts, **modules)


def pod_parts(d: dict, command: list[str], port: str | int) -> dict:
    """Return {"pod", "container", "volumes", "strategy"} of a target: the parts of a pod that KServe's pods have, too.

    `port` is the HTTP port for the probes. The caller adds what differs, such as the mount of the repository.
    """
    guarded = [*command, *common.guards(d, common.POD_UID)]
    [parts] = yaml_documents(POD, d=d, command=guarded, port=port, common=common)
    return parts
