# What jobs ask a cluster for. On one machine none of it limits anything; profiles/ says the rest, by rule.
import slipway.snakemake_hooks.cluster_resources
import slipway.keys.code_hash

from snakemake.io import expand as expand_paths, flag
from snakemake.settings.types import DeploymentMethod

# Whether what jobs make is copied to and from storage, since nothing shows them the same files.
IN_STORAGE = workflow.storage_settings.default_storage_provider is not None
# Whether jobs run in the image that config.yaml names.
IN_IMAGE = DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method


def program_file(name):
    """Return a program of scripts/; where files lie in storage, it does not: the image of the jobs has it."""
    path = slipway.keys.code_hash.program_file(name)
    return flag(path, "sourcecache_entry", path) if IN_STORAGE else path


def expand(files, **wildcards):
    """Return what Snakemake's own `expand` does, which refuses a rule's files where they lie in storage."""
    files = [files] if isinstance(files, str) else files
    if IN_STORAGE:
        files = [f"results/{file.rpartition('results/')[2]}" for file in files]
    return expand_paths(files, **wildcards)


def require_declared_targets():
    """Stop before anything is submitted whose hardware or versions were detected on this machine."""
    with told_in_a_sentence():
        slipway.snakemake_hooks.cluster_resources.require_declared(config)


def of_cluster(key):
    """Return the function by which a rule asks for what its target declares, and for nothing where it does not."""
    return lambda wildcards: slipway.snakemake_hooks.cluster_resources.of_target(config, wildcards.target, key)


def gpus(wildcards):
    """Return how many GPUs a target's jobs need, or None: a pod that asks for 0 may yet run on a GPU's node."""
    return 1 if resolved.runs_on_gpu(wildcards.target) else None


def gpu_maker(wildcards):
    """Return whose GPU it is, which Kubernetes' executor wants to know."""
    return "nvidia" if gpus(wildcards) else None


if IN_IMAGE and workflow.is_main_process:
    with told_in_a_sentence():
        slipway.snakemake_hooks.cluster_resources.require_image(config)


# On a cluster these run where Snakemake does: they make nothing themselves, take seconds, or need the internet.
localrules:
    choose_configuration,
    deploy,
    deploy_local,
    deploy_remote,
    evidence,
    fetch_weights,
    manifests,
    preflight,
    publish,
    publish_repository,
    rollback,
    sign_repository,
    status,
    render_load_test,
    undeploy,
    write_manifests,
    write_monitoring,
    write_report,
    write_repository,


# One job of a group at a time is on what they share: they measure, each the whole of it.
resource_scopes:
    seat="local",


# What a job of a target asks for. A partition that nobody declares is not mentioned, so the profile's holds.
ON_TARGET = {
    "gpu": gpus,
    "gpu_model": of_cluster("gpu_model"),
    "gpu_manufacturer": gpu_maker,
    "machine_type": of_cluster("machine_type"),
    "seat": 1,
}
if any(target["cluster"]["partition"] for target in config["targets"].values()):
    ON_TARGET["slurm_partition"] = of_cluster("partition")
if not workflow.is_main_process:
    workflow.register_resource("seat", 1)
