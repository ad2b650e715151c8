# The platform that models are deployed to, and what is deployed there together.
from slipway.deploy.local.planned_liveness import silent_models
from slipway.deploy.platforms import PLATFORMS, manifest_files
from slipway.keys.validation import require_servers
from slipway.triton.server.releases import require_supported

PLATFORM = PLATFORMS[config["deploy"]["to"]]
# A release has all models if one server serves them, and else one model, which is a wildcard then.
RELEASED = resolved.models if PLATFORM.together else ["{model}"]
# It is served from the repositories of these targets.
SERVED = resolved.fleet if PLATFORM.files else [resolved.deployed_target]
# How long a server may take to be ready, and how many versions are kept: where they are served, and where published.
ROLLOUT = {name: config["deploy"][name] for name in ("ready_timeout_s", "keep_versions")}
KEEP_PUBLISHED = config["deploy"]["publish"]["keep_versions"]
# The interpreter that has TensorRT, if the local server runs its engines in it.
deployed_tensorrt_python = untracked(
    option("--tensorrt-python", PLATFORM.together and resolved.tensorrt(resolved.deployed_target)["python"])
)


def of_release(files):
    """Return files of each model of a release, on each target where they are made for a target."""
    return expand(files, model=RELEASED, target=SERVED)


def live(wildcards):
    """Return what `deploy` makes, unless no Triton would serve there what the configuration builds."""
    with refused_by_snakemake():
        require_servers(resolved)
    return expand(rules.deploy_release.output, model=resolved.models)


def deployment(wildcards):
    """Return the key of a deployment; a model here that does not answer is named, and makes its receipt stale."""
    return keys.deploy_release(silent=silent_models(tell=hooks.tell) if hooks.plans and PLATFORM.together else {})


def supported_release(wildcards):
    """Return nothing, unless the Triton that would serve elsewhere is unknown, or older than what is accepted."""
    with refused_by_snakemake():
        require_supported(*(config["triton"][name] for name in ("release", "image", "oldest")))
    return []
