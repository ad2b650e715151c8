# Read by every phase: the resolved configuration, the keys of the jobs, options and constraints that rules share.
import json
import shlex

from slipway.keys.validation import require_batches, validate
from slipway.keys.config import complete, schema
from slipway.keys.config_duplicates import require_keys_once
from slipway.keys.config_scalars import require_read_as_written
from slipway.keys.file_hash_cache import FileHashCache
from slipway.core.hardware import usable_cores
from slipway.keys.job_keys import JobKeys
from slipway.keys.notices import notices
from slipway.keys.resolved_config import ResolvedConfig
from slipway.core.cli import prefer_this_interpreter

prefer_this_interpreter()
# What files held when they were last read; it is only there to save time.
file_hashes = FileHashCache(Path(".snakemake/slipway/file_hashes.json"))
with told_in_a_sentence():
    # Not once more in each job.
    for file in workflow.configfiles if workflow.is_main_process else []:
        require_keys_once(file)
        require_read_as_written(file, schema())
    resolved = ResolvedConfig(complete(config))
    validate(resolved)
keys = JobKeys(resolved, file_hashes)

for notice in notices(resolved) if workflow.is_main_process else []:
    logger.info(notice)


def one_of(names):
    """Return a wildcard constraint that matches exactly `names`."""
    return "|".join(names) or "(?!)"


# With `--sdm apptainer` jobs run in it, but for those that deploy: they need the user's home, programs and servers here.
container: config["container"]


include: "cluster.smk"
include: "paths.smk"
include: "hooks.smk"
include: "platform.smk"


wildcard_constraints:
    model=one_of(resolved.models),
    target=one_of(resolved.targets),
    precision=one_of(resolved.all_precisions()),


# A job that measures speed has the machine to itself; Snakemake lowers this to what --cores allows.
WHOLE_MACHINE = usable_cores()


def option(name, value):
    """Return a command-line option for a file that may be absent, as one word: a file's name may start with a dash."""
    return f"{name}={shlex.quote(str(value))}" if value else ""


def tensorrt_python(wildcards, input):
    """Return the option that names TensorRT's interpreter; taking `input` keeps Snakemake from comparing it."""
    return option("--tensorrt-python", resolved.tensorrt(wildcards.target)["python"])


def public_key(wildcards, input):
    """Return the option that names the key which signatures must be of; what it holds is in the settings."""
    return option("--public-key", config["deploy"]["signing"]["public_key"])


def signature_option(wildcards, input):
    """Return the option that names a repository's signature, where it is made here or has to be verified."""
    signing = config["deploy"]["signing"]
    return option("--signature", any(signing.values()) and signature(wildcards.model, wildcards.target))


def evidence_of_every_model(wildcards):
    """Return what `evidence` is made of, for every engine, unless one could not be measured as the configuration asks."""
    with told_in_a_sentence():
        require_batches(resolved)
    of_engines = [
        f"results/{model}/{target}/{model}.{precision}.accuracy.json"
        for model in resolved.models
        for target in resolved.targets
        for precision in resolved.precisions(target)
    ]
    of_targets = ["{model}.benchmark.json", "selection.json", "analysis/summary.pdf"]
    return (
        expand("results/{model}/report.html", model=resolved.models)
        + expand("results/{model}/profile/profile.json", model=resolved.models)
        + of_engines
        + [
            path
            for name in of_targets
            for path in expand(f"results/{{model}}/{{target}}/{name}", model=resolved.models, target=resolved.targets)
        ]
    )
