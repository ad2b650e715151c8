# From model repositories to live servers, here or elsewhere: Kubernetes, KServe, Arena or Compose. Needs the repositories
# of what is deployed, and elsewhere its manifests; makes results/<model>/deploy/receipt.json or receipt.<to>.json.


rule deploy_release:
    input:
        program=program("deploy"),
        manifests=of_release([*rules.write_manifests.output, *rules.write_monitoring.output] if PLATFORM.files else []),
        # Folders have no checksum; their indexes hold the hash of every file.
        folders=ancient(of_release(rules.write_repository.output.folder)),
        indexes=of_release(rules.write_repository.output.index),
        goldens=of_release(rules.reference_outputs.output.golden),
        signatures=made_signatures(RELEASED, SERVED),
    output:
        update(
            [
                in_report(receipt, "Deployment")
                for receipt in of_release(f"results/{{model}}/deploy/{PLATFORM.receipt}")
            ]
        ),
    log:
        "logs/deploy_release.log" if PLATFORM.together else f"logs/{{model}}/deploy_release.{PLATFORM.name}.log",
    container:
        None
    threads: WHOLE_MACHINE if PLATFORM.on_this_machine else 1
    params:
        settings=deployment,
        results=of_release("results/{model}"),
        signed="--signed" if any(config["deploy"]["signing"].values()) else "",
        public_key=public_key,
        same_configuration=same_configuration,
        oldest=untracked(config["triton"]["oldest"]),
        ready_timeout_s=untracked(config["deploy"]["ready_timeout_s"]),
        keep_versions=untracked(config["deploy"]["keep_versions"]),
        keep_published=untracked(config["deploy"]["publish"]["keep_versions"]),
        tensorrt_python=deployed_tensorrt_python,
    message:
        f"Deploying {{params.results}} to {PLATFORM.name}"
    shell:
        "python {input.program:q} --results {params.results:q} --artifacts {input.manifests:q} {input.folders:q} "
        "{input.indexes:q} {input.goldens:q} {params.settings} {params.signed} {params.public_key} --oldest "
        "{params.oldest} --ready-timeout-s {params.ready_timeout_s} --keep-versions {params.keep_versions} "
        "--keep-published {params.keep_published} {params.tensorrt_python} "
        "--snakemake-options={params.same_configuration:q} --log {log:q}"


rule status:
    input:
        program=program("status"),
    log:
        "logs/status.log",
    container:
        None
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
    log:
        "logs/rollback.log",
    container:
        None
    params:
        to=PLATFORM.name,
        results=rules.status.params.results,
        ready_timeout_s=config["deploy"]["ready_timeout_s"],
        keep_versions=config["deploy"]["keep_versions"],
        tensorrt_python=deployed_tensorrt_python,
        public_key=public_key,
        same_configuration=same_configuration,
    message:
        "Going back to what was served before"
    shell:
        "python {input.program:q} --to {params.to} --results {params.results:q} --ready-timeout-s "
        "{params.ready_timeout_s} --keep-versions {params.keep_versions} {params.tensorrt_python} {params.public_key} "
        "--snakemake-options={params.same_configuration:q} --log {log:q}"


rule undeploy:
    input:
        program=program("undeploy"),
    log:
        "logs/undeploy.log",
    container:
        None
    params:
        to=PLATFORM.name,
        results=rules.status.params.results,
    message:
        "Stopping what is live"
    shell:
        "python {input.program:q} --to {params.to} --results {params.results:q} --log {log:q}"
