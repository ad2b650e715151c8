# What every phase needs: the completed configuration, the plan, and the names of what it makes.
import json
import shlex
from functools import cache

from slipway.planning.checks import require_batches
from slipway.planning.config import complete, schema
from slipway.planning.config_files import require_keys_once
from slipway.planning.config_scalars import require_read_as_written
from slipway.planning.fingerprints import Fingerprints
from slipway.hardware import usable_cores
from slipway.planning.plan import Plan
from slipway.program import prefer_this_interpreter

prefer_this_interpreter()
# What files held when they were last read; it is only there to save time.
fingerprints = Fingerprints(Path(".snakemake/slipway/fingerprints.json"))
with told_in_a_sentence():
    # Not once more in each job.
    for file in workflow.configfiles if workflow.is_main_process else []:
        require_keys_once(file)
        require_read_as_written(file, schema())
    plan = Plan(complete(config), fingerprints)

for notice in plan.notices() if workflow.is_main_process else []:
    logger.info(notice)


def one_of(names):
    """Return a wildcard constraint that matches exactly `names`."""
    return "|".join(names) or "(?!)"


# With `--sdm apptainer` jobs run in it, but for those that deploy: they need the user's home, programs and servers here.
container: config["container"]


include: "cluster.smk"
include: "names.smk"
include: "provenance.smk"


wildcard_constraints:
    model=one_of(plan.models),
    target=one_of(plan.targets),
    precision=one_of(plan.all_precisions()),


# Where models are deployed to.
PLACE = config["deploy"]["to"]
# A job that measures speed has the machine to itself; Snakemake lowers this to what --cores allows.
WHOLE_MACHINE = usable_cores()


def option(name, value):
    """Return a command-line option for a file that may be absent, as one word: a file's name may start with a dash."""
    return f"{name}={shlex.quote(str(value))}" if value else ""


def tensorrt_python(wildcards, input):
    """Return the option that names TensorRT's interpreter; taking `input` keeps Snakemake from comparing it."""
    return option("--tensorrt-python", plan.tensorrt(wildcards.target)["python"])


def deployed_tensorrt_python(wildcards, input):
    """Return the same option for the target that is deployed."""
    return option("--tensorrt-python", PLACE == "local" and plan.tensorrt(plan.deployed_target)["python"])


def public_key(wildcards, input):
    """Return the option that names the key which signatures must be of; what it holds is in the settings."""
    return option("--public-key", config["deploy"]["signing"]["public_key"])


def signature_option(wildcards, input):
    """Return the option that names a repository's signature, where it is made here or has to be verified."""
    keys = config["deploy"]["signing"]
    return option("--signature", any(keys.values()) and signature(wildcards.model, wildcards.target))


def evidence_of_every_model(wildcards):
    """Return what `evidence` is made of, for every engine, unless one could not be measured as the configuration asks."""
    with told_in_a_sentence():
        require_batches(plan)
    of_engines = [
        f"results/{model}/{target}/{model}.{precision}.accuracy.json"
        for model in plan.models
        for target in plan.targets
        for precision in plan.precisions(target)
    ]
    of_targets = ["{model}.benchmark.json", "selection.json", "analysis/summary.pdf"]
    return (
        expand("results/{model}/report.html", model=plan.models)
        + expand("results/{model}/profile/profile.json", model=plan.models)
        + of_engines
        + [
            path
            for name in of_targets
            for path in expand(f"results/{{model}}/{{target}}/{name}", model=plan.models, target=plan.targets)
        ]
    )


def receipts():
    """Return the receipt of every model."""
    return expand("results/{model}/deploy/receipt.json", model=plan.models)


def live(wildcards):
    """Return what `deploy` makes, unless no Triton would serve there what the configuration builds."""
    with told_in_a_sentence():
        plan.require_servers()
    return receipts() if PLACE == "local" else expand(rules.deploy_remote.output, model=plan.models, to=PLACE)


def local_server(wildcards):
    """Return what the deployment here is keyed on; a model that does not answer is told, and makes its receipt stale."""
    if not workflow.is_main_process:
        return plan.local_server(silent={})
    return plan.local_server(silent=silent_models())


@cache
def silent_models():
    """Return why models that are live here do not answer, asked and told once."""
    silent = plan.silent()
    for name, why in silent.items():
        logger.info(f"{name} does not answer, because {why}; it is served anew")
    return silent


def supported_release(wildcards):
    """Return nothing, unless the Triton that would serve elsewhere is unknown, or older than what is accepted."""
    with told_in_a_sentence():
        plan.require_supported_release()
    return []


def at_place(name):
    """Return the program that does this at the place that models are deployed to."""
    return program_file(name if PLACE == "local" else f"{name}_remote")


def about_place(wildcards):
    """Return the options that tell such a program of which models and which place it is about."""
    if PLACE == "local":
        return f"--receipts {shlex.join(receipts())}"
    return f"--to {PLACE} --results {shlex.join(expand('results/{model}', model=plan.models))}"
