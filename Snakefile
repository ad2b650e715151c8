# Slipway: from a PyTorch checkpoint to a running, measured Triton deployment.
#   snakemake --cores 1 evidence     profile, benchmark, accuracy, load test, report.html; nothing is deployed (default)
#   snakemake --cores 1 deploy       evidence, then deploy to the platform `deploy.to`, and verify the deployment
#   snakemake --cores 1 deploy_<model>  one model alone; also evidence_, diagnose_, rollback_ and undeploy_<model>
#   snakemake --cores 1 manifests    write manifests for Kubernetes, KServe, Arena and Compose; nothing is deployed
#   snakemake --cores 1 publish      copy the model repositories to the storage that a cluster reads
#   snakemake --cores 1 preflight    try without a GPU whether TensorRT builds the ONNX files
#   snakemake --cores 1 diagnose     find the layers that make a precision inaccurate
#   snakemake --cores 1 compare      compare this run with the last live run; fails on a regression
#   snakemake --cores 1 status       show the live models; `rollback` serves the previous release, `undeploy` stops
#   snakemake --cores 1 prune        show files that no configuration refers to; `--config prune=yes` removes them
#   snakemake -n deploy              show the stale jobs and the reasons
#   snakemake deploy --report x.zip  Snakemake's own report of a finished run: results with captions, jobs, run times
include: "rules/before_config.smk"


# If --configfile names a configuration, config.yaml is not read.
if not hooks.configuration_is_named:

    configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/targets.smk"
include: "rules/model.smk"
include: "rules/precision.smk"
include: "rules/engine.smk"
include: "rules/accuracy.smk"
include: "rules/evidence.smk"
include: "rules/choice.smk"
include: "rules/history.smk"
include: "rules/repository.smk"
include: "rules/manifests.smk"
include: "rules/deploy.smk"
include: "rules/prune.smk"


# For a mistyped target, such as deploy_<model>, fail and name the nearest targets.
hooks.require_targets()
# Each rule that runs a program has a log, logs/<model>/<target>/<rule>.log, and the environment of `--sdm conda`.
hooks.complete_rules(conda="../envs/slipway.yaml")
