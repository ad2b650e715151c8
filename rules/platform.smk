# The platform that models are deployed to, and the models that are deployed together.
from slipway.deploy.known_models import deployed_models, live_models, silent_models
from slipway.deploy.platforms import PLATFORMS, manifest_files
from slipway.keys.server_validation import require_local_server, require_real_weights, require_servers
from slipway.triton.server.releases import require_supported

PLATFORM = PLATFORMS[config["deploy"]["to"]]
# A release has one model, also where one server has them all: the others stay live as they are. It is served from the repositories of these targets.
SERVED = resolved.fleet if PLATFORM.files else [resolved.deployed_target]
# How many versions are kept where they are published.
KEEP_PUBLISHED = config["deploy"]["publish"]["keep_versions"]
# The interpreter that has TensorRT, if the local server runs its engines in it.
DEPLOYED_PYTHON = PLATFORM.together and resolved.tensorrt(resolved.deployed_target)["python"]
# Whether repositories are signed here; whether their signatures are published, and verified before a release is served.
SIGNS = bool(config["deploy"]["signing"]["private_key"])
SIGNED = any(config["deploy"]["signing"].values())
# The options that a deployment and a rollback have in common.
COMMON = JobKey(
    {name: config["deploy"][name] for name in ("ready_timeout_s", "keep_versions")},
    tensorrt_python=DEPLOYED_PYTHON or None,
    public_key=config["deploy"]["signing"]["public_key"],
    snakemake_options=(
        shlex.join(["--configfile", *map(str, hooks.configfiles())]) if hooks.configuration_is_named else ""
    ),
)


def of_release(files):
    """Return files of a model, on each target that serves it where they are made for a target."""
    return expand(files, target=SERVED, allow_missing=True)


def live(*models):
    """Return the input function for models' receipts; it refuses models that no Triton would serve there."""

    def receipts(wildcards):
        with refused_by_snakemake():
            require_servers(resolved, models)
        return expand(rules.deploy_release.output, model=models)

    return receipts


# Models to roll back or stop, also ones that config.yaml has no longer.
DEPLOYED = dict.fromkeys([*resolved.models, *deployed_models(PLATFORM.name)])
# Models that are live, but that config.yaml has no longer: `deploy` takes them out of service, where one server has all.
UNCONFIGURED = sorted(live_models() - set(resolved.models)) if PLATFORM.together else []


def no_rehearsal(wildcards):
    """Return why random weights are of no use in this run; None unless it deploys or publishes the model elsewhere."""
    makes = {"deploy", f"deploy_{wildcards.model}", "publish"} & set(hooks.targets) if PLATFORM.files else ()
    return f"random weights are not deployed to {PLATFORM.name} or published" if makes else None


def withdrawal(wildcards):
    """Return what `deploy` makes to take models out of service that config.yaml has no longer."""
    return rules.withdraw.output if UNCONFIGURED else []


def deployment(wildcards):
    """Return the key of a deployment; a model here that does not answer is named, and makes its receipt stale."""
    return keys.deploy_release(silent=silent_models(tell=hooks.tell) if hooks.plans and PLATFORM.together else {})


def runnable_server(wildcards):
    """Return nothing, unless the load test has to run here, and the tritonserver of `triton.run` cannot."""
    record = Path(f"results/{wildcards.model}/{wildcards.target}/analysis/analysis.json")
    with refused_by_snakemake():
        if hooks.plans and hooks.runs_jobs_here():
            require_local_server(resolved, wildcards.target, record)
    return []


def real_weights(wildcards):
    """Return nothing, unless the weights of the model are random: they are not published."""
    with refused_by_snakemake():
        require_real_weights(resolved, [wildcards.model], "not published")
    return []


def supported_release(wildcards):
    """Return nothing, unless the Triton that would serve elsewhere is unknown, or older than what is accepted."""
    with refused_by_snakemake():
        triton = config["triton"]
        require_supported(triton["release"] or resolved.default_release(), triton["image"], triton["oldest"])
    return []
