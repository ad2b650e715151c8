"""The resources of a pod: a GPU or a GPU partition, memory and CPUs from the load test, and node labels."""

import math
import re

from slipway.core.errors import SlipwayError
from slipway.core.hardware import is_gpu
from slipway.manifests.deployment_facts import CONFIG, DeploymentFacts, TargetValues, Value

HERE = "scripts/slipway/manifests/pod_resources.py"
# Size of /dev/shm, which Triton uses for the Python backend and for clients in the pod. /dev/shm counts as memory.
SHM_MIB = 256
# CPU cores of a pod with a GPU. These cores only move data.
CPUS_BESIDE_GPU = 2
# The node label with the name of the node's GPUs. NVIDIA's GPU feature discovery writes this label.
PRODUCT_LABEL = "nvidia.com/gpu.product"
WHOLE_GPU, SHARED_GPU, MIG = "nvidia.com/gpu", "aliyun.com/gpu-mem", "nvidia.com/mig-"


def of_pod(facts: DeploymentFacts, cluster: dict) -> dict[str, Value]:
    """Return the resources that a target's pod requests, {name: Value}, from the load test and config.yaml.

    The names are "on_gpu", "memory_mib", "shm_mib", "cpus", "node_labels"; on a GPU target also "gpu_resource" and
    "gpu_quantity". `cluster` is `deploy.cluster` of config.yaml. Raises SlipwayError if the load test did not measure
    the memory, or if the GPU partition has too little memory.
    """
    memory_mib = math.ceil(facts.peak("memory_mb") * 1e6 * cluster["memory_margin"] / 2**20) + SHM_MIB
    on_gpu = is_gpu(facts.key["hardware"])
    requests = {
        "on_gpu": facts.of_hardware(on_gpu, "whether it is a GPU's"),
        "memory_mib": facts.of_peak(memory_mib, "memory_mb", "and /dev/shm, in MiB"),
        "shm_mib": Value(SHM_MIB, HERE, "SHM_MIB"),
        "cpus": _cpus(facts, cluster["cpus"]),
        "node_labels": _node_labels(facts, cluster["node_labels"]),
    }
    if on_gpu:
        resource = cluster["gpu_resources"].get(facts.target, WHOLE_GPU)
        requests["gpu_resource"] = Value(resource, CONFIG, f"deploy.cluster.gpu_resources.{facts.target}")
        requests["gpu_quantity"] = _quantity(facts, resource, cluster["gpu_memory_margin"])
    return requests


def resources(d: TargetValues) -> dict:
    """Return {"limits", "requests"} of a target's container, each {resource: quantity}, such as "memory": "3Gi".

    `d` has the target's values in the manifests. Limits and requests are equal, so no other pod slows the container
    down or evicts the pod.
    """
    # Memory has Kubernetes' canonical notation, so that applied and live objects have equal text.
    mib = d["memory_mib"]
    quantities = {"cpu": str(d["cpus"]), "memory": f"{mib}Mi" if mib % 1024 else f"{mib // 1024}Gi"}
    if d["on_gpu"]:
        quantities[d["gpu_resource"]] = str(d["gpu_quantity"])
    return {"limits": quantities, "requests": dict(quantities)}


def product(hardware: str) -> str:
    """Return the name of a GPU as in a node's label, such as "NVIDIA-H100-80GB-HBM3".

    `hardware` is the hardware in a build key. For a MIG partition, return the name of the whole GPU.
    """
    name = hardware.partition(" (compute capability")[0].partition(" MIG ")[0]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-_.")


def _cpus(facts: DeploymentFacts, declared: int | None) -> Value:
    if declared is not None:
        return Value(declared, CONFIG, "deploy.cluster.cpus")
    if cores := re.search(r" x(\d+)$", facts.key["hardware"]):
        return facts.of_hardware(int(cores[1]), "the cores that the load test had")
    return Value(CPUS_BESIDE_GPU, HERE, "CPUS_BESIDE_GPU")


def _node_labels(facts: DeploymentFacts, declared: dict) -> Value:
    """Return the labels that a node must have for the pods of a target, {label: value} as a Value.

    `declared` is {target: labels} of config.yaml. A target that it lacks gets the product label of its GPU, or {} on a
    CPU.
    """
    if facts.target in declared:
        return Value(declared[facts.target], CONFIG, f"deploy.cluster.node_labels.{facts.target}")
    hardware = facts.key["hardware"]
    labels = {PRODUCT_LABEL: product(hardware)} if is_gpu(hardware) else {}
    return facts.of_hardware(labels, "as GPU feature discovery writes it")


def _quantity(facts: DeploymentFacts, resource: str, margin: float) -> Value:
    """Return the quantity of a GPU resource that a pod requests, as a Value.

    It is the number of GiB of a shared GPU, or 1 for a whole GPU or a partition. `resource` is the resource's name,
    such as "nvidia.com/gpu". `margin` is the factor on the measured memory. Raises SlipwayError if the partition has
    too little memory for the engine.
    """
    if resource == WHOLE_GPU:
        return facts.of_hardware(1, "one GPU, as the load test had")
    needed_bytes = facts.peak("gpu_memory_mb") * 1e6 * margin
    if resource == SHARED_GPU:
        return facts.of_peak(math.ceil(needed_bytes / 2**30), "gpu_memory_mb", "in GiB")
    if needed_bytes > int(re.findall(r"\.(\d+)gb", resource)[0]) * 1e9:
        raise SlipwayError(
            f"config: `deploy.cluster.gpu_resources.{facts.target}` is {resource}, but with its margin the engine "
            f"takes {needed_bytes / 1e9:.1f} GB of GPU memory; ask for a larger part of the GPU, or lower "
            "`load_test.instances` or `load_test.max_batch_sizes`"
        )
    return facts.of_peak(1, "gpu_memory_mb", f"has room in one {resource}")
