# From model repositories to a live server. Needs the deployed target's repositories; makes results/<model>/deploy/.


rule deploy_local:
    input:
        program=ancient(program_file("deploy")),
        # Folders have no checksum; their indexes hold the hash of every file.
        folders=ancient(
            expand(rules.write_repository.output.folder, model=resolved.models, target=resolved.deployed_target)
        ),
        indexes=expand(rules.write_repository.output.index, model=resolved.models, target=resolved.deployed_target),
        goldens=expand(rules.reference_outputs.output.golden, model=resolved.models),
        signatures=made_signatures(resolved.models, resolved.deployed_target),
    output:
        update(receipts()),
    log:
        "logs/deploy.log",
    conda:
        "../envs/slipway.yaml"
    container:
        None
    threads: WHOLE_MACHINE
    params:
        settings=local_server,
        models=resolved.models,
        signatures=[signature(model, resolved.deployed_target) for model in resolved.models],
        # Asking for `input` keeps Snakemake from comparing them: neither makes a deployment stale.
        ready_timeout_s=lambda wildcards, input: config["deploy"]["ready_timeout_s"],
        keep_versions=lambda wildcards, input: config["deploy"]["keep_versions"],
        oldest=lambda wildcards, input: config["triton"]["oldest"],
        tensorrt_python=deployed_tensorrt_python,
        public_key=public_key,
    message:
        "Serving {resolved.models} from a Triton server on this machine"
    shell:
        "python {input.program:q} --models {params.models:q} --folders {input.folders:q} "
        "--indexes {input.indexes:q} --goldens {input.goldens:q} --signatures {params.signatures:q} "
        "{params.settings} {params.public_key} "
        "--oldest {params.oldest} "
        "--ready-timeout-s {params.ready_timeout_s} --keep-versions {params.keep_versions} {params.tensorrt_python} --receipts {output:q} --log {log:q}"


rule status:
    input:
        program=ancient(program_file("status")),
    log:
        "logs/status.log",
    conda:
        "../envs/slipway.yaml"
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
        program=ancient(on_platform("rollback")),
    log:
        "logs/rollback.log",
    conda:
        "../envs/slipway.yaml"
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
        "python {input.program:q} {params.about} --ready-timeout-s {params.ready_timeout_s} "
        "{params.tensorrt_python} {params.public_key} --log {log:q}"


rule undeploy:
    input:
        program=ancient(on_platform("undeploy")),
    log:
        "logs/undeploy.log",
    conda:
        "../envs/slipway.yaml"
    container:
        None
    params:
        about=platform_options,
    message:
        "Stopping what is live"
    shell:
        "python {input.program:q} {params.about} --log {log:q}"
