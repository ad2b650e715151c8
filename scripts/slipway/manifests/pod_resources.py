"""The resources of a pod: a GPU or a partition of one, memory and CPUs from the load test, and its node labels."""

import math
import re

from slipway.core.errors import SlipwayError
from slipway.core.hardware import is_gpu
from slipway.manifests.deployment_facts import CONFIG, DeploymentFacts, Value

HERE = "scripts/slipway/manifests/pod_resources.py"
# Size of /dev/shm, which Triton uses for its Python backend and for clients in the pod. It counts as memory.
SHM_MIB = 256
# CPU cores of a pod with a GPU. They only move data.
CPUS_BESIDE_GPU = 2
# The node label of NVIDIA's GPU feature discovery with the name of the GPUs.
PRODUCT_LABEL = "nvidia.com/gpu.product"
WHOLE_GPU, SHARED_GPU, MIG = "nvidia.com/gpu", "aliyun.com/gpu-mem", "nvidia.com/mig-"


def of_pod(evidence: DeploymentFacts, cluster: dict) -> dict[str, Value]:
    """Return a pod's requests: {"on_gpu", "memory_mib", "shm_mib", "cpus", "node_labels"}.

    For a GPU also "gpu_resource" and "gpu_quantity". Raises SlipwayError if the load test did not measure the memory,
    or the GPU partition has too little of it.
    """
    on_gpu = is_gpu(evidence.key["hardware"])
    requests = {
        "on_gpu": evidence.index.derived(on_gpu, "engine_key.hardware", "whether it is a GPU's"),
        "memory_mib": _memory(evidence, cluster["memory_margin"]),
        "shm_mib": Value(SHM_MIB, HERE, "SHM_MIB"),
        "cpus": _cpus(evidence, cluster["cpus"]),
        "node_labels": _node_labels(evidence, cluster["node_labels"]),
    }
    return requests | (_gpu(evidence, cluster) if on_gpu else {})


def warnings(d: dict) -> list[str]:
    """Return a warning if a partition of a GPU is requested, though a whole GPU was measured."""
    if d.get("gpu_resource", WHOLE_GPU) == WHOLE_GPU or " MIG " in d["hardware"]:
        return []
    return [f"measured on a whole {product(d['hardware'])}, deployed on a part of one ({d['gpu_resource']})"]


def resources(d: dict) -> dict:
    """Return a container's resources. Requests equal limits, so no other pod slows this one down or evicts it."""
    # Memory is in Kubernetes' own notation, so that applied and live objects look the same.
    mib = d["memory_mib"]
    asked = {"cpu": str(d["cpus"]), "memory": f"{mib}Mi" if mib % 1024 else f"{mib // 1024}Gi"}
    if d["on_gpu"]:
        asked[d["gpu_resource"]] = str(d["gpu_quantity"])
    return {"limits": asked, "requests": dict(asked)}


def product(hardware: str) -> str:
    """Return a GPU's name as in a node's label, such as "NVIDIA-H100-80GB-HBM3"; a partition has the whole GPU's."""
    name = hardware.partition(" (compute capability")[0].partition(" MIG ")[0]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-_.")


def mig_profile(resource: str) -> str | None:
    """Return the profile of a MIG resource, such as "1g.10gb"; None for other resources."""
    return resource.removeprefix(MIG) if resource.startswith(MIG) else None


def _memory(evidence: DeploymentFacts, margin: float) -> Value:
    needed = math.ceil(evidence.peak("memory_mb") * 1e6 * margin / 2**20) + SHM_MIB
    how = f"the most that {evidence.variant} took, times deploy.cluster.memory_margin, and /dev/shm, in MiB"
    return evidence.load_test.derived(needed, "measurements[].memory_mb", how)


def _cpus(evidence: DeploymentFacts, declared: int | None) -> Value:
    if declared is not None:
        return Value(declared, CONFIG, "deploy.cluster.cpus")
    cores = re.search(r" x(\d+)$", evidence.key["hardware"])
    if cores:
        return evidence.index.derived(int(cores[1]), "engine_key.hardware", "the cores that the load test had")
    return Value(CPUS_BESIDE_GPU, HERE, "CPUS_BESIDE_GPU")


def _node_labels(evidence: DeploymentFacts, declared: dict) -> Value:
    """Return the labels that a node must have: those in config.yaml, or for a GPU its product name."""
    if evidence.target in declared:
        return Value(declared[evidence.target], CONFIG, f"deploy.cluster.node_labels.{evidence.target}")
    hardware = evidence.key["hardware"]
    labels = {PRODUCT_LABEL: product(hardware)} if is_gpu(hardware) else {}
    return evidence.index.derived(labels, "engine_key.hardware", "as GPU feature discovery writes it")


def _gpu(evidence: DeploymentFacts, cluster: dict) -> dict[str, Value]:
    resource = cluster["gpu_resources"].get(evidence.target, WHOLE_GPU)
    named = Value(resource, CONFIG, f"deploy.cluster.gpu_resources.{evidence.target}")
    return {"gpu_resource": named, "gpu_quantity": _quantity(evidence, resource, cluster["gpu_memory_margin"])}


def _quantity(evidence: DeploymentFacts, resource: str, margin: float) -> Value:
    """Return the requested quantity of a GPU resource: GiB of a shared GPU, else 1."""
    if resource == WHOLE_GPU:
        return evidence.index.derived(1, "engine_key.hardware", "one GPU, as the load test had")
    needed_bytes = evidence.peak("gpu_memory_mb") * 1e6 * margin
    how = f"the most that {evidence.variant} took, times deploy.cluster.gpu_memory_margin"
    if resource == SHARED_GPU:
        gib = math.ceil(needed_bytes / 2**30)
        return evidence.load_test.derived(gib, "measurements[].gpu_memory_mb", f"{how}, in GiB")
    if needed_bytes > int(re.search(r"\.(\d+)gb", resource)[1]) * 1e9:
        raise SlipwayError(
            f"config: `deploy.cluster.gpu_resources.{evidence.target}` is {resource}, but with its margin the engine "
            f"takes {needed_bytes / 1e9:.1f} GB of GPU memory; ask for a larger part of the GPU, or lower "
            "`load_test.instances` or `load_test.max_batch_sizes`"
        )
    return evidence.load_test.derived(1, "measurements[].gpu_memory_mb", f"{how}, has room in one {resource}")
