# Read by every phase: the resolved configuration, the keys of the jobs, options and constraints that rules share.
#
# How staleness works here (docs/staleness.md has the whole of it). Snakemake runs a job again when the content of an
# input, the value of a param or the text of the command is another one than in the last run. Therefore in each rule:
#   settings=keys.<rule>(...)    All that the job is keyed on: options, versions, hardware, the SHA-256 of the user's files
#                                and of the program's code. It is one dict, since Snakemake compares values without names.
#   program=program("benchmark") scripts/benchmark.py, as an input that is `ancient(...)`: Snakemake does not compare it,
#                                for its code is in the settings, where comments do not count.
#   update("results/...")        The previous artifact stays until its job has succeeded, so a failed job loses nothing.
#   untracked(...)               A param that is not compared: a path whose content is in the settings, or a timeout.
#   ancient(...)                 An input that has to exist, but changes nothing of the outputs.
import json
import shlex

from slipway.keys.validation import require_batches, resolve
from slipway.keys.config import complete
from slipway.core.hardware import usable_cores
from slipway.keys.job_key import JobKey
from slipway.keys.job_keys import JobKeys
from slipway.keys.resolved_config import ResolvedConfig
from slipway.keys.notices import notices, storage_notices
from slipway.pruning.references import what_to_prune

with refused_by_snakemake():
    # Options of one command, such as `prune --config prune=yes`, are no part of the configuration.
    PRUNE = what_to_prune(config.pop("prune", "no"))
    COMPARE = str(config.pop("compare", ""))
    # What cannot be built is still operated: looked at, rolled back, stopped.
    resolved = (resolve if hooks.builds else ResolvedConfig)(complete(config))
keys = JobKeys(resolved, hooks.file_hashes)

with refused_by_snakemake():
    for notice in notices(resolved) if hooks.plans else []:
        hooks.tell(notice)
    for notice in storage_notices(resolved) if hooks.plans and hooks.builds else []:
        hooks.tell(notice)


def one_of(names):
    """Return a wildcard constraint that matches exactly `names`."""
    return "|".join(names) or "(?!)"


def option(name, value):
    """Return a command-line option for a file that may be absent, as one word: a file's name may start with a dash."""
    return f"{name}={shlex.quote(str(value))}" if value else ""


# Params of several rules: the interpreter that has TensorRT, and the key that signatures must be of.
tensorrt_python = untracked(
    lambda wildcards: option("--tensorrt-python", resolved.tensorrt(wildcards.target)["python"])
)
public_key = untracked(option("--public-key", config["deploy"]["signing"]["public_key"]))
# For the commands that a deployment shows at its end.
same_configuration = untracked(
    shlex.join(["--configfile", *map(str, hooks.configfiles())]) if hooks.configuration_is_named else ""
)
evaluation_data = untracked(lambda wildcards: option(*resolved.file_of_evaluation(wildcards.model)))
sample_source = untracked(lambda wildcards: option(*resolved.file_of_samples(wildcards.model)))
samples_from = untracked(lambda wildcards: option("--samples-from", resolved.samples(wildcards.model)))
# For messages: what computes the model itself, whose answers every engine must repeat.
baseline = untracked(lambda wildcards: resolved.baseline(wildcards.model))
labels_from = untracked(lambda wildcards: option("--labels-from", config["models"][wildcards.model]["labels"]))


# With `--sdm apptainer` jobs run in it, but for those of deploy.smk.
container: config["container"]


include: "cluster.smk"
include: "paths.smk"
include: "hooks.smk"
include: "platform.smk"


wildcard_constraints:
    model=one_of(resolved.models),
    target=one_of(resolved.targets),
    precision=one_of(resolved.all_precisions()),


def evidence_of(*models):
    """Return the input function for all that is measured of models; it refuses batch sizes that no engine takes."""

    def files(wildcards):
        with refused_by_snakemake():
            require_batches(resolved)
        # The index is that of all models.
        index = ["results/index.html"] if set(models) == set(resolved.models) else []
        return [file for model in models for file in evidence_of_model(model)] + index

    return files


def evidence_of_model(model):
    """Return what is measured of a model, on every target and of every engine."""
    names = ["report.html", "run.json"]
    for target in resolved.targets:
        of_target = ["{model}.benchmark.json", "selection.json", "analysis/summary.pdf"]
        of_target += [f"{{model}}.{precision}.accuracy.json" for precision in resolved.precisions(target, model)]
        names += [f"{target}/{name}" for name in of_target]
    return expand([f"results/{{model}}/{name}" for name in names], model=model) + profile_of(model)
