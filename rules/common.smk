# For the rules in all other files: the resolved configuration, the keys of the jobs, functions that return options for
# several rules, and the constraints on the wildcards in paths.
#
# How staleness works here (docs/staleness.md has the details). Snakemake runs a job again if the content of an input, the
# value of a param or the text of the rule's command differs from the last run. It does not compare an `ancient` input, or
# a param that is a function of `input`. Therefore in each rule:
#   settings=keys.<rule>(...)    The key of the job: everything that can change its output, except other jobs' artifacts.
#                                It has program options, versions, hardware, SHA-256 of the user's files and the code.
#                                It is one dict with names, because Snakemake compares values of params without names:
#                                otherwise two options could exchange their values unnoticed.
#   options=options(...)         The program's other options: paths (the key has the SHA-256 of the content), limits, timeouts.
#                                `options` returns a function of `input`, so Snakemake does not compare these values: a new
#                                timeout makes no output stale.
#   program=program("benchmark") The input scripts/benchmark.py, as `ancient`. The key has the hash of its code instead.
#   update("results/...")        An output. The previous artifact stays until the job succeeds, so a failed job loses nothing.
#   ancient(...)                 Any other input that must exist when the job runs, but is not compared.
import json

from slipway.keys.validation import require_batches, require_users_packages, resolve
from slipway.keys.config import complete
from slipway.core.hardware import usable_cores
from slipway.keys.job_key import JobKey
from slipway.keys.job_keys import JobKeys
from slipway.keys.resolved_config import ResolvedConfig
from slipway.keys.notices import notices
from slipway.pruning.references import what_to_prune

with refused_by_snakemake():
    # An option of one command, such as `prune --config prune=yes`, is not a setting of the configuration.
    PRUNE = what_to_prune(config.pop("prune", "no"))
    COMPARE = str(config.pop("compare", ""))
    # If `resolve` refuses a configuration, a deployment can still be shown, rolled back and stopped.
    resolved = (resolve if hooks.builds else ResolvedConfig)(complete(config))
    if hooks.plans and hooks.builds:
        require_users_packages(resolved)
    for notice in notices(resolved, hooks.builds) if hooks.plans else []:
        hooks.tell(notice)
keys = JobKeys(resolved, hooks.file_hashes)


def one_of(names):
    """Return a wildcard constraint, a regular expression that matches exactly `names`, or nothing without names."""
    return "|".join(names) or "(?!)"


# Options of several rules, as functions of the wildcards.
tensorrt_python = lambda wildcards: resolved.tensorrt(wildcards.target)["python"]
# The option with the path of the calibration data. `targets` are the names of those arrays in the user's samples which
# only the user's metric reads. Calibration leaves these arrays out, since they are no inputs of the model.
calibration_data = lambda wildcards: JobKey(
    resolved.file_of_calibration(wildcards.model), targets=resolved.metric_targets(wildcards.model) or None
)
evaluation_data = lambda wildcards: resolved.file_of_evaluation(wildcards.model)
local_checkpoint = lambda wildcards: resolved.checkpoint(wildcards.model)
samples_from = lambda wildcards: resolved.samples(wildcards.model)
labels_from = lambda wildcards: config["models"][wildcards.model]["labels"]
# For messages: the runtime whose answers every engine must repeat, "PyTorch" or, for an ONNX file, "ONNX Runtime".
baseline = untracked(lambda wildcards: resolved.baseline(wildcards.model))


# With `--sdm apptainer` jobs run in this container, except the jobs of deploy.smk.
container: config["container"]


include: "cluster.smk"
include: "paths.smk"
include: "hooks.smk"
include: "platform.smk"


wildcard_constraints:
    model=one_of(resolved.models),
    target=one_of(resolved.targets),
    precision=one_of(resolved.all_precisions()),
