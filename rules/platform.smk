# The platform that models are deployed to, and the models that are deployed together.
from slipway.deploy.known_models import deployed_models, live_models, silent_models
from slipway.deploy.platforms import PLATFORMS, manifest_files
from slipway.keys.server_validation import require_local_server, require_real_weights, require_servers
from slipway.triton.server.releases import require_supported

PLATFORM = PLATFORMS[config["deploy"]["to"]]
# The targets whose repositories serve a release. A release has one model, also where one server has all models: the others
# stay live as they are.
SERVED = resolved.fleet if PLATFORM.files else [resolved.deployed_target]
# How many versions are kept where they are published.
KEEP_PUBLISHED = config["deploy"]["publish"]["keep_versions"]
# The interpreter that has TensorRT, if the local server runs its engines in it.
DEPLOYED_PYTHON = PLATFORM.together and resolved.tensorrt(resolved.deployed_target)["python"]
# Whether repositories are signed here.
HAS_PRIVATE_KEY = bool(config["deploy"]["signing"]["private_key"])
# Whether signatures are published, and verified before a release is served: also those that another machine made.
USES_SIGNATURES = any(config["deploy"]["signing"].values())
# The options that a deployment and a rollback have in common.
COMMON = JobKey(
    {name: config["deploy"][name] for name in ("ready_timeout_s", "keep_versions")},
    tensorrt_python=DEPLOYED_PYTHON or None,
    public_key=config["deploy"]["signing"]["public_key"],
    snakemake_options=hooks.configuration_option(),
)


def of_release(files):
    """Return files of a model: those with {target} in their path for each target that serves it, the others once."""
    return expand(files, target=SERVED, allow_missing=True)


def live(*models):
    """Return the input function for models' receipts; it refuses models that no Triton of the platform would serve."""

    def receipts(wildcards):
        with refused_by_snakemake():
            require_servers(resolved, models)
        return expand(rules.deploy_release.output, model=models)

    return receipts


# The models that may be rolled back or stopped, also those that config.yaml has no longer.
DEPLOYED = dict.fromkeys([*resolved.models, *deployed_models(PLATFORM.name)])
# Models that are live, but that config.yaml has no longer. `deploy` takes them out of service where one server has all models.
UNCONFIGURED = sorted(live_models() - set(resolved.models)) if PLATFORM.together else []


def no_rehearsal(wildcards):
    """Return why this run cannot use random weights; None if it may, since it deploys and publishes nothing elsewhere."""
    makes = {"deploy", f"deploy_{wildcards.model}", "publish"} & set(hooks.targets) if PLATFORM.files else ()
    return f"random weights are not deployed to {PLATFORM.name} or published" if makes else None


def withdrawal(wildcards):
    """Return the file that `deploy` makes once the models that config.yaml has no longer are out of service."""
    return rules.withdraw.output if UNCONFIGURED else []


def deployment(wildcards):
    """Return the key of a deployment. A model that is live here but does not answer is named, and its receipt is stale."""
    return keys.deploy_release(silent=silent_models(tell=hooks.tell) if hooks.plans and PLATFORM.together else {})


def runnable_server(wildcards):
    """Refuse a load test that must run here if the tritonserver of `triton.run` cannot; else return no input files."""
    record = Path(f"results/{wildcards.model}/{wildcards.target}/analysis/analysis.json")
    with refused_by_snakemake():
        if hooks.plans and hooks.runs_jobs_here():
            require_local_server(resolved, wildcards.target, record)
    return []


def real_weights(wildcards):
    """Refuse to publish a model whose weights are random; else return no input files."""
    with refused_by_snakemake():
        require_real_weights(resolved, [wildcards.model], "not published")
    return []


def supported_release(wildcards):
    """Refuse a Triton elsewhere that is unknown or older than `triton.oldest`; else return no input files."""
    with refused_by_snakemake():
        triton = config["triton"]
        require_supported(triton["release"] or resolved.default_release(), triton["image"], triton["oldest"])
    return []
