# Slipway: from a PyTorch checkpoint to a running, measured Triton deployment.
#   snakemake --cores 1 evidence     profile, benchmark, accuracy, load test, report.html; nothing is deployed (default)
#   snakemake --cores 1 deploy       everything, then serve it where `deploy.to` says, and prove it there
#   snakemake --cores 1 deploy_<model>  one model alone; also evidence_, diagnose_, rollback_ and undeploy_<model>
#   snakemake --cores 1 manifests    write what deploys it to Kubernetes, KServe, Arena or Compose; nothing is deployed
#   snakemake --cores 1 publish      copy the repositories to where a cluster reads them
#   snakemake --cores 1 preflight    would TensorRT take the model? `diagnose`: which layers make a precision inaccurate?
#   snakemake --cores 1 compare      this run beside the last one that was live; fails on a regression
#   snakemake --cores 1 status       what is live; `rollback` serves what was before, `undeploy` stops it
#   snakemake --cores 1 prune        what nothing in config.yaml refers to any more; removed by `--config prune=yes`
#   snakemake -n deploy              what is stale, and why
#   snakemake deploy --report x.zip  Snakemake's own report of a finished run: results with captions, jobs, run times
include: "rules/before_config.smk"


# A configuration that --configfile names stands alone.
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


# A target that is mistyped, such as deploy_<model>, is answered with the nearest ones.
hooks.require_targets()
# Each rule that runs a program has a log, logs/<model>/<target>/<rule>.log, and the environment of `--sdm conda`.
hooks.complete_rules(conda="../envs/slipway.yaml")
