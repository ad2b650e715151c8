# The platform that models are deployed to: what proves it, and which program acts there.
from functools import cache

from slipway.deploy.local import server_state
from slipway.keys.validation import require_servers, require_supported_release

PLATFORM = config["deploy"]["to"]


def deployed_tensorrt_python(wildcards, input):
    """Return the same option for the target that is deployed."""
    return option("--tensorrt-python", PLATFORM == "local" and resolved.tensorrt(resolved.deployed_target)["python"])


def receipts():
    """Return the receipt of every model."""
    return expand("results/{model}/deploy/receipt.json", model=resolved.models)


def live(wildcards):
    """Return what `deploy` makes, unless no Triton would serve there what the configuration builds."""
    with told_in_a_sentence():
        require_servers(resolved)
    return receipts() if PLATFORM == "local" else expand(rules.deploy_remote.output, model=resolved.models, to=PLATFORM)


def local_server(wildcards):
    """Return what the deployment here is keyed on; a model that does not answer is told, and makes its receipt stale."""
    if not workflow.is_main_process:
        return keys.deploy_local(silent={})
    return keys.deploy_local(silent=silent_models())


@cache
def silent_models():
    """Return why models that are live here do not answer, asked and told once."""
    if server_state.recorded_server() is None:
        return {}
    from slipway.deploy.local.liveness import why_silent  # it takes half a second to import

    silent = why_silent()
    for name, why in silent.items():
        logger.info(f"{name} does not answer, because {why}; it is served anew")
    return silent


def supported_release(wildcards):
    """Return nothing, unless the Triton that would serve elsewhere is unknown, or older than what is accepted."""
    with told_in_a_sentence():
        require_supported_release(resolved)
    return []


def on_platform(name):
    """Return the program that does this at the place that models are deployed to."""
    return program_file(name if PLATFORM == "local" else f"{name}_remote")


def platform_options(wildcards):
    """Return the options that tell such a program of which models and which place it is about."""
    if PLATFORM == "local":
        return f"--receipts {shlex.join(receipts())}"
    return f"--to {PLATFORM} --results {shlex.join(expand('results/{model}', model=resolved.models))}"
