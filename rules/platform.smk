# The platform that models are deployed to: what proves it, and which program acts there.
from slipway.deploy.local.planned_liveness import silent_models
from slipway.deploy.platforms import PLATFORMS, manifest_files
from slipway.keys.validation import require_servers, require_supported_release

PLATFORM = config["deploy"]["to"]
# The interpreter that has TensorRT, if the local server runs its engines in it.
deployed_tensorrt_python = untracked(
    option("--tensorrt-python", PLATFORM == "local" and resolved.tensorrt(resolved.deployed_target)["python"])
)


def receipts():
    """Return the receipt of every model."""
    return expand("results/{model}/deploy/receipt.json", model=resolved.models)


def live(wildcards):
    """Return what `deploy` makes, unless no Triton would serve there what the configuration builds."""
    with refused_by_snakemake():
        require_servers(resolved)
    return receipts() if PLATFORM == "local" else expand(rules.deploy_remote.output, model=resolved.models, to=PLATFORM)


def local_server(wildcards):
    """Return the key of the deployment here; a model that does not answer is named, and makes its receipt stale."""
    return keys.deploy_local(silent=silent_models(tell=hooks.tell) if hooks.plans else {})


def supported_release(wildcards):
    """Return nothing, unless the Triton that would serve elsewhere is unknown, or older than what is accepted."""
    with refused_by_snakemake():
        require_supported_release(resolved)
    return []


def on_platform(name):
    """Return the program that does this at the place that models are deployed to."""
    return program(name if PLATFORM == "local" else f"{name}_remote")


def platform_options(wildcards):
    """Return the options that tell such a program of which models and which place it is about."""
    if PLATFORM == "local":
        return f"--receipts {shlex.join(receipts())}"
    return f"--to {PLATFORM} --results {shlex.join(expand('results/{model}', model=resolved.models))}"
