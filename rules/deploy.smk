# From model repositories to a live server, here or elsewhere: Kubernetes, KServe, Arena or Compose. Needs the repositories
# of what is deployed, and elsewhere its manifests; makes results/<model>/deploy/receipt.json or receipt.<to>.json.


rule deploy_local:
    input:
        program=program("deploy"),
        # Folders have no checksum; their indexes hold the hash of every file.
        folders=ancient(
            expand(rules.write_repository.output.folder, model=resolved.models, target=resolved.deployed_target)
        ),
        indexes=expand(rules.write_repository.output.index, model=resolved.models, target=resolved.deployed_target),
        goldens=expand(rules.reference_outputs.output.golden, model=resolved.models),
        signatures=made_signatures(resolved.models, [resolved.deployed_target]),
    output:
        update([in_report(receipt, "Deployment") for receipt in receipts()]),
    log:
        "logs/deploy.log",
    container:
        None
    threads: WHOLE_MACHINE
    params:
        settings=local_server,
        models=resolved.models,
        signatures=[signature(model, resolved.deployed_target) for model in resolved.models],
        ready_timeout_s=untracked(config["deploy"]["ready_timeout_s"]),
        keep_versions=untracked(config["deploy"]["keep_versions"]),
        oldest=untracked(config["triton"]["oldest"]),
        tensorrt_python=deployed_tensorrt_python,
        public_key=public_key,
    message:
        "Serving {resolved.models} from a Triton server on this machine"
    shell:
        "python {input.program:q} --models {params.models:q} --folders {input.folders:q} --indexes {input.indexes:q} "
        "--goldens {input.goldens:q} --signatures {params.signatures:q} {params.settings} {params.public_key} --oldest "
        "{params.oldest} --ready-timeout-s {params.ready_timeout_s} --keep-versions {params.keep_versions} "
        "{params.tensorrt_python} --receipts {output:q} --log {log:q}"


rule status:
    input:
        program=program("status"),
    log:
        "logs/status.log",
    container:
        None
    params:
        receipts=receipts(),
        tensorrt_python=deployed_tensorrt_python,
    message:
        "What is live"
    shell:
        "python {input.program:q} --receipts {params.receipts:q} {params.tensorrt_python} --log {log:q}"


rule rollback:
    input:
        program=on_platform("rollback"),
    log:
        "logs/rollback.log",
    container:
        None
    params:
        about=platform_options,
        ready_timeout_s=config["deploy"]["ready_timeout_s"],
        tensorrt_python=deployed_tensorrt_python,
        public_key=public_key,
    message:
        "Going back to what was served before"
    shell:
        "python {input.program:q} {params.about} --ready-timeout-s {params.ready_timeout_s} {params.tensorrt_python} "
        "{params.public_key} --log {log:q}"


rule undeploy:
    input:
        program=on_platform("undeploy"),
    log:
        "logs/undeploy.log",
    container:
        None
    params:
        about=platform_options,
    message:
        "Stopping what is live"
    shell:
        "python {input.program:q} {params.about} --log {log:q}"


rule deploy_remote:
    input:
        program=program("deploy_remote"),
        manifests=rules.write_manifests.output,
        monitoring=rules.write_monitoring.output,
        # Folders have no checksum; their indexes hold the hash of every file.
        folders=ancient(expand(rules.write_repository.output.folder, target=resolved.fleet, allow_missing=True)),
        indexes=expand(rules.write_repository.output.index, target=resolved.fleet, allow_missing=True),
        golden=rules.reference_outputs.output.golden,
        signatures=lambda wildcards: made_signatures([wildcards.model], resolved.fleet),
    output:
        update(in_report("results/{model}/deploy/receipt.{to}.json", "Deployment")),
    log:
        "logs/{model}/deploy_remote.{to}.log",
    wildcard_constraints:
        to=one_of(PLATFORMS),
    container:
        None
    params:
        settings=lambda wildcards: keys.deploy_remote(),
        results=lambda wildcards: f"results/{wildcards.model}",
        signed="--signed" if any(config["deploy"]["signing"].values()) else "",
        public_key=public_key,
        ready_timeout_s=untracked(config["deploy"]["ready_timeout_s"]),
        keep_versions=untracked(config["deploy"]["keep_versions"]),
        keep_published=untracked(config["deploy"]["publish"]["keep_versions"]),
    message:
        "Deploying {wildcards.model} to {wildcards.to}"
    shell:
        "python {input.program:q} --results {params.results:q} {params.settings} {params.signed} {params.public_key} "
        "--ready-timeout-s {params.ready_timeout_s} --keep-versions {params.keep_versions} --keep-published "
        "{params.keep_published} --log {log:q}"
