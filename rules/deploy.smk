# Publish model repositories to storage that a cluster reads, and deploy them on this machine, Kubernetes, KServe, Arena
# or Compose. Needs the repositories, and for a platform elsewhere the manifests. Makes published.json of each
# repository, and results/<model>/deploy/receipt.json (this machine) or receipt.<to>.json (elsewhere).


# With `--sdm apptainer`, too, the rules below run outside of containers: they need this machine's programs and servers.
container: None


rule publish_repository:
    input:
        publishable,
        program=program("publish_repository"),
        # Snakemake takes no checksum of a folder. The index has the hash of every file in the folder.
        folder=ancient(rules.write_repository.output.folder),
        index=rules.write_repository.output.index,
        signature=rules.sign_repository.output if HAS_PRIVATE_KEY else [],
    output:
        update("results/{model}/{target}/published.json"),
    params:
        settings=lambda wildcards: keys.publish_repository(wildcards.model, wildcards.target),
        options=options(
            signature=lambda wildcards: USES_SIGNATURES
            and f"results/{wildcards.model}/{wildcards.target}/repository.sig",
            public_key=config["deploy"]["signing"]["public_key"],
            keep_versions=KEEP_PUBLISHED,
        ),
    message:
        "Publishing the repository of {wildcards.model} for {wildcards.target}"
    shell:
        "python {input.program:q} --model {wildcards.model:q} --target {wildcards.target:q} --folder {input.folder:q} "
        "--index {input.index:q} {params.settings} {params.options} --record {output:q} --log {log:q}"


rule publish:
    input:
        expand(rules.publish_repository.output, model=resolved.models, target=resolved.fleet),
    message:
        "All model repositories are published"


rule deploy_release:
    input:
        program=program("deploy"),
        manifests=of_release([*rules.write_manifests.output, *rules.write_monitoring.output] if PLATFORM.files else []),
        # Snakemake takes no checksum of a folder. The index has the hash of every file in the folder.
        folders=ancient(of_release(rules.write_repository.output.folder)),
        indexes=of_release(rules.write_repository.output.index),
        references=of_release(rules.reference_outputs.output.reference),
        signatures=of_release(rules.sign_repository.output) if HAS_PRIVATE_KEY else [],
        # The figures of this run, to refuse a regression. `ancient`, because figures do not change what is deployed.
        run=ancient(rules.record_run.output),
    output:
        update(in_report(f"results/{{model}}/deploy/{PLATFORM.receipt}", "Deployment")),
    log:
        f"logs/{{model}}/deploy_release.{PLATFORM.name}.log",
    # More cores than any machine has, so that only one job at a time changes the server of this machine.
    threads: 100_000 if PLATFORM.on_this_machine else 1
    params:
        settings=deployment,
        results=of_release("results/{model}"),
        signed="--signed" if USES_SIGNATURES else "",
        options=options(
            COMMON,
            oldest=config["triton"]["oldest"],
            keep_published=KEEP_PUBLISHED,
            regression=json.dumps(config["regression"]),
        ),
    message:
        f"Deploying {{wildcards.model}} to {PLATFORM.name}"
    shell:
        "python {input.program:q} --results {params.results:q} --artifacts {input.manifests:q} {input.folders:q} "
        "{input.indexes:q} {input.references:q} {params.settings} {params.signed} {params.options} --log {log:q}"


rule withdraw:
    input:
        program=program("undeploy"),
        # The withdrawn models stop only after the models of the configuration are live.
        receipts=live(*resolved.models),
    output:
        temp(touch("results/.server/withdrawn")),
    params:
        results=expand("results/{model}", model=UNCONFIGURED),
    message:
        f"Undeploying {', '.join(UNCONFIGURED)}: no longer in the configuration"
    shell:
        f"python {{input.program:q}} --to {PLATFORM.name} --alone --results {{params.results:q}} --log {{log:q}}"


rule status:
    input:
        program=program("status"),
    params:
        results=expand("results/{model}", model=resolved.models),
        options=options(tensorrt_python=DEPLOYED_PYTHON),
    message:
        "Showing the live models"
    shell:
        "python {input.program:q} --results {params.results:q} {params.options} --log {log:q}"


# `rollback` and `undeploy` change all models. rollback_<model> and undeploy_<model> change one, in config.yaml or not.
for ending, models in {"": resolved.models, **{f"_{model}": [model] for model in DEPLOYED}}.items():

    rule:
        name:
            f"rollback{ending}"
        input:
            program=program("rollback"),
        localrule: True
        params:
            results=expand("results/{model}", model=models),
            options=options(
                COMMON,
                to=PLATFORM.name,
                alone=ending != "",
                configured=ending and expand("results/{model}", model=resolved.models),
            ),
        message:
            f"Rolling back {', '.join(models)} to the previous version"
        shell:
            "python {input.program:q} --results {params.results:q} {params.options} --log {log:q}"

    rule:
        name:
            f"undeploy{ending}"
        input:
            program=program("undeploy"),
        localrule: True
        params:
            results=expand("results/{model}", model=models),
            alone="--alone" if ending else "",
        message:
            f"Stopping {', '.join(models)}"
        shell:
            f"python {{input.program:q}} --to {PLATFORM.name} {{params.alone}} --results {{params.results:q}} --log {{log:q}}"
