"""kserve.yaml: for each target of a model an InferenceService and a ServingRuntime with its Triton."""

from pathlib import Path

from slipway.core.templates import yaml_documents
from slipway.manifests import common, names, pod_resources
from slipway.manifests.fleet import Fleet, kubectl_file
from slipway.manifests.kubernetes import pod_parts
from slipway.runtimes import RUNTIMES

TEMPLATE = Path(__file__).with_name("kserve.yaml.j2")


def files(fleet: Fleet) -> dict[str, str]:
    """Return {file: text} for KServe."""
    return kubectl_file("kserve.yaml", objects(fleet.deployments), fleet)


def objects(fleet: list[dict]) -> list[dict]:
    """Return the ServingRuntime and the InferenceService of each target."""
    modules = {"common": common, "names": names, "pod_resources": pod_resources}
    return yaml_documents(
        TEMPLATE, fleet=fleet, pod_parts=pod_parts, command=_command, model_format=_model_format, **modules
    )


def _command(d: dict) -> list[str]:
    return common.triton_command(d, common.KSERVE_HTTP, common.KSERVE_GRPC, common.KSERVE_MODELS)


def _model_format(d: dict) -> dict:
    native = RUNTIMES[d["runtime"]].native_backend
    return {"name": native.kserve_format, "version": d["runtime_version"].split(".")[0]}
