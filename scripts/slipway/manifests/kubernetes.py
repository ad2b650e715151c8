"""kubernetes.yaml and kserve.yaml: a Deployment or an InferenceService for each target, and all further objects."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from slipway.core.templates import yaml_documents
from slipway.manifests import common, names, pod_ports, pod_resources
from slipway.manifests.deployment_facts import TargetValues
from slipway.manifests.fleet import Fleet, kubectl_file
from slipway.monitoring.rules import rule_file
from slipway.monitoring.slo import ServiceLevel
from slipway.runtimes import RUNTIMES


def files(fleet: Fleet) -> dict[str, str]:
    """Return the manifest for plain Kubernetes, {"kubernetes.yaml": text}, for all targets of a model.

    Raises SlipwayError if an object is not valid in Kubernetes.
    """
    return kubectl_file("kubernetes.yaml", objects(fleet.deployments, fleet.slo), fleet)


def kserve_files(fleet: Fleet) -> dict[str, str]:
    """Return the manifest for KServe, {"kserve.yaml": text}, for all targets of a model.

    Raises SlipwayError if an object is not valid in Kubernetes.
    """
    return kubectl_file("kserve.yaml", kserve_objects(fleet.deployments), fleet)


def objects(fleet: list[TargetValues], slo: ServiceLevel) -> list[dict]:
    """Return the objects of kubernetes.yaml: first those that all targets share, then those of each target.

    `fleet` has the values of each target (a kind of GPU or CPU that config.yaml names). `slo` has the load test's
    figures and the latency limit of the slowest target; the alerts of all targets use these.
    """
    rules = rule_file(replace(slo, namespace=fleet[0]["namespace"]))
    return _filled_in("kubernetes.yaml.j2", fleet=fleet, model=fleet[0], rules=rules, pod_parts=pod_parts)


def kserve_objects(fleet: list[TargetValues]) -> list[dict]:
    """Return the objects of kserve.yaml: a ServingRuntime and an InferenceService for each target.

    `fleet` has the values of each target.
    """
    return _filled_in("kserve.yaml.j2", fleet=fleet, runtimes=RUNTIMES, pod_parts=pod_parts)


def pod_parts(d: TargetValues, command: list[str], port: str | int) -> dict:
    """Return the parts of a target's pod that both plain Kubernetes and KServe need.

    They are {"pod", "container", "volumes", "strategy"}, dicts and lists in the form of Kubernetes. `d` has the
    target's values in the manifests. `command` has the words that start Triton (`common.triton_command`). `port` is the
    HTTP port for the probes. The caller adds all other parts, such as the mount of the repository.
    """
    guarded = [*command, *common.guards(d, common.POD_UID)]
    [parts] = _filled_in("pod.yaml.j2", d=d, command=guarded, port=port)
    return parts


def _filled_in(template: str, **values: Any) -> list[dict]:
    modules = {"common": common, "names": names, "pod_ports": pod_ports, "pod_resources": pod_resources}
    return yaml_documents(Path(__file__).with_name(template), metadata_of=common.metadata, **modules, **values)
