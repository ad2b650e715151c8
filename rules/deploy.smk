# From model repositories to storage that a cluster reads, and to live servers, here or elsewhere: Kubernetes, KServe, Arena
# or Compose. Needs the repositories of what is deployed, and elsewhere its manifests; makes published.json of each
# repository, and results/<model>/deploy/receipt.json or receipt.<to>.json.


# The rules below run in no container, also with `--sdm apptainer`: they need the user's home, programs and servers here.
container: None


rule publish_repository:
    input:
        real_weights,
        program=program("publish_repository"),
        # A folder has no checksum; its index holds the hash of every file. expand() makes a name to flag of its own.
        folder=ancient(expand(rules.write_repository.output.folder, allow_missing=True)),
        index=rules.write_repository.output.index,
        signature=lambda wildcards: made_signatures([wildcards.model], [wildcards.target]),
    output:
        update("results/{model}/{target}/published.json"),
    params:
        settings=lambda wildcards: keys.publish_repository(
            f"results/{wildcards.model}/{wildcards.target}/published.json"
        ),
        keep_versions=untracked(KEEP_PUBLISHED),
        public_key=public_key,
        signature=untracked(signature_option),
    message:
        "Publishing the repository of {wildcards.model} for {wildcards.target}"
    shell:
        "python {input.program:q} --model {wildcards.model:q} --target {wildcards.target:q} --folder {input.folder:q} "
        "--index {input.index:q} {params.settings} {params.signature} {params.public_key} --keep-versions "
        "{params.keep_versions} --record {output:q} --log {log:q}"


rule publish:
    input:
        expand(rules.publish_repository.output, model=resolved.models, target=resolved.fleet),
    message:
        "Every repository of the fleet is published"


rule deploy_release:
    input:
        program=program("deploy"),
        manifests=of_release([*rules.write_manifests.output, *rules.write_monitoring.output] if PLATFORM.files else []),
        # Folders have no checksum; their indexes hold the hash of every file.
        folders=ancient(of_release(rules.write_repository.output.folder)),
        indexes=of_release(rules.write_repository.output.index),
        goldens=of_release(rules.reference_outputs.output.golden),
        signatures=made_signatures(["{model}"], SERVED),
        # It refuses a regression, and changes nothing of what is deployed.
        run=ancient(rules.record_run.output),
    output:
        update(in_report(f"results/{{model}}/deploy/{PLATFORM.receipt}", "Deployment")),
    log:
        f"logs/{{model}}/deploy_release.{PLATFORM.name}.log",
    # More than any machine has, so that one job at a time changes the server here.
    threads: 100_000 if PLATFORM.on_this_machine else 1
    params:
        settings=deployment,
        results=of_release("results/{model}"),
        signed="--signed" if any(config["deploy"]["signing"].values()) else "",
        public_key=public_key,
        same_configuration=same_configuration,
        rollout=untracked(JobKey(ROLLOUT, oldest=config["triton"]["oldest"], keep_published=KEEP_PUBLISHED)),
        tensorrt_python=deployed_tensorrt_python,
        regression=untracked(json.dumps(config["regression"])),
    message:
        f"Deploying {{wildcards.model}} to {PLATFORM.name}"
    shell:
        "python {input.program:q} --results {params.results:q} --artifacts {input.manifests:q} {input.folders:q} "
        "{input.indexes:q} {input.goldens:q} {params.settings} {params.signed} {params.public_key} {params.rollout} "
        "{params.tensorrt_python} --regression {params.regression:q} "
        "--snakemake-options={params.same_configuration:q} --log {log:q}"


# Commands of rules for all models, and for one model alone (one_model.smk).
UNDEPLOY = "python {input.program:q} --to {params.to} --results {params.results:q} --log {log:q}"
ROLLBACK = (
    "python {input.program:q} --results {params.results:q} {params.alone} {params.rollout} {params.tensorrt_python} "
    "{params.public_key} --snakemake-options={params.same_configuration:q} --log {log:q}"
)


rule withdraw:
    input:
        program=program("withdraw"),
        # After what takes their place.
        receipts=live(*resolved.models),
    output:
        temp(touch("results/.server/withdrawn")),
    params:
        to=PLATFORM.name,
        results=expand("results/{model}", model=UNCONFIGURED),
    message:
        f"Taking {' and '.join(UNCONFIGURED)} out of service: config.yaml has it no longer"
    shell:
        UNDEPLOY


rule status:
    input:
        program=program("status"),
    params:
        results=expand("results/{model}", model=resolved.models),
        tensorrt_python=deployed_tensorrt_python,
    message:
        "What is live"
    shell:
        "python {input.program:q} --results {params.results:q} {params.tensorrt_python} --log {log:q}"


rule rollback:
    input:
        program=program("rollback"),
    params:
        results=rules.status.params.results,
        rollout=JobKey(ROLLOUT, to=PLATFORM.name),
        tensorrt_python=deployed_tensorrt_python,
        public_key=public_key,
        same_configuration=same_configuration,
        alone="",
    message:
        "Going back to what was served before"
    shell:
        ROLLBACK


rule undeploy:
    input:
        program=program("undeploy"),
    params:
        to=PLATFORM.name,
        results=rules.status.params.results,
    message:
        "Stopping what is live"
    shell:
        UNDEPLOY
