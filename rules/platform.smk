# The platform that models are deployed to, and the models that are deployed together.
from slipway.deploy.known_models import deployed_models, live_models, silent_models
from slipway.deploy.platforms import PLATFORMS, manifest_files
from slipway.keys.manifest_validation import require_manifests
from slipway.keys.publication_validation import require_folder
from slipway.keys.server_validation import require_local_server, require_real_weights, require_servers

PLATFORM = PLATFORMS[config["deploy"]["to"]]
# The targets whose repositories serve a release, which has one model. Other models stay live unchanged.
SERVED = resolved.fleet if PLATFORM.files else [resolved.deployed_target]
# How many published versions of a model are kept in the storage.
KEEP_PUBLISHED = config["deploy"]["publish"]["keep_versions"]
# The path of the interpreter with TensorRT, if the local server runs engines in another interpreter; else false.
DEPLOYED_PYTHON = PLATFORM.together and resolved.tensorrt(resolved.deployed_target)["python"]
# Whether this machine signs repositories.
HAS_PRIVATE_KEY = bool(config["deploy"]["signing"]["private_key"])
# Whether signatures, of this or another machine, are published, and verified before a release is served.
USES_SIGNATURES = any(config["deploy"]["signing"].values())
# The options that both a deployment and a rollback have.
COMMON = JobKey(
    {name: config["deploy"][name] for name in ("ready_timeout_s", "keep_versions")},
    tensorrt_python=DEPLOYED_PYTHON or None,
    public_key=config["deploy"]["signing"]["public_key"],
    snakemake_options=hooks.configuration_option(),
)


def of_release(files):
    """Return `files`, once for each serving target if a path has {target}, else once. {model} is not filled in."""
    return expand(files, target=SERVED, allow_missing=True)


def live(*models):
    """Return an input function: the paths of the receipts of `models`. It refuses what the platform cannot serve."""

    def receipts(wildcards):
        with refused_by_snakemake():
            require_servers(resolved, models)
        return expand(rules.deploy_release.output, model=models)

    return receipts


# The models that may be rolled back or stopped, including deployed models that config.yaml does not name any more.
DEPLOYED = dict.fromkeys([*resolved.models, *deployed_models(PLATFORM.name)])
# Live models that config.yaml does not name any more. If one server has all models, `deploy` withdraws these models.
UNCONFIGURED = sorted(live_models() - set(resolved.models)) if PLATFORM.together else []


def no_rehearsal(wildcards):
    """Return in words why this run may not use random weights; None if it deploys and publishes nothing elsewhere."""
    makes = {"deploy", f"deploy_{wildcards.model}", "publish"} & set(hooks.targets) if PLATFORM.files else ()
    return f"random weights are not deployed to {PLATFORM.name} or published" if makes else None


def withdrawal(wildcards):
    """Return the file of rule `withdraw` if there are live models that config.yaml does not name any more, else []."""
    return rules.withdraw.output if UNCONFIGURED else []


def deployment(wildcards):
    """Return the key of a deployment. If a live model of the local server does not answer, its receipt is stale."""
    return keys.deploy_release(silent=silent_models(tell=hooks.tell) if hooks.plans and PLATFORM.together else {})


def runnable_server(wildcards):
    """Refuse a load test on this machine if the tritonserver of `triton.run` cannot run here. Otherwise return []."""
    record = Path(f"results/{wildcards.model}/{wildcards.target}/analysis/analysis.json")
    with refused_by_snakemake():
        if hooks.plans and hooks.runs_jobs_here():
            require_local_server(resolved, wildcards.target, record)
    return []


def publishable(wildcards):
    """Refuse to publish random weights, or into a folder that does not exist. Otherwise return [], no input files."""
    with refused_by_snakemake():
        require_real_weights(resolved, [wildcards.model], "not published")
        require_folder(config["deploy"]["publish"]["to"])
    return []


def writable_manifests(wildcards):
    """Refuse manifests with a Triton that is unknown or older than `triton.oldest`, or with a name that is too long."""
    with refused_by_snakemake():
        require_manifests(resolved, wildcards.model)
    return []
