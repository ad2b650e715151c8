# From what was measured to deployment manifests. Needs the repository's index, the selection and the load test of every
# target of the fleet, and for the bill of materials the records of what they were made from; makes
# results/<model>/deploy/*. Nothing is deployed.


rule write_manifests:
    input:
        supported_release,
        program=ancient(program_file("write_manifests")),
        indexes=expand(rules.write_repository.output.index, target=resolved.fleet, allow_missing=True),
        selections=expand(rules.choose_configuration.output, target=resolved.fleet, allow_missing=True),
        load_tests=expand(rules.load_test.output.record, target=resolved.fleet, allow_missing=True),
    output:
        arena_script=update("results/{model}/deploy/arena.sh"),
        arena=update("results/{model}/deploy/arena.yaml"),
        kubernetes=update("results/{model}/deploy/kubernetes.yaml"),
        kserve=update("results/{model}/deploy/kserve.yaml"),
        compose=update("results/{model}/deploy/compose.yaml"),
        record=update("results/{model}/deploy/manifests.json"),
    log:
        "logs/{model}/write_manifests.log",
    conda:
        "../envs/slipway.yaml"
    params:
        settings=lambda wildcards: keys.write_manifests(),
    message:
        "Writing the manifests of {wildcards.model} for {resolved.fleet}"
    shell:
        "python {input.program:q} --model {wildcards.model:q} --indexes {input.indexes:q} "
        "--selections {input.selections:q} --load-tests {input.load_tests:q} {params.settings} "
        "--arena-script {output.arena_script:q} --arena {output.arena:q} --kubernetes {output.kubernetes:q} "
        "--kserve {output.kserve:q} --compose-file {output.compose:q} --record {output.record:q} --log {log:q}"


rule write_sbom:
    input:
        program=ancient(program_file("write_sbom")),
        indexes=rules.write_manifests.input.indexes,
        onnx_records=onnx_records_of_fleet,
        weights_record=rules.fetch_weights.output.record,
        manifests=rules.write_manifests.output.record,
    output:
        update("results/{model}/deploy/sbom.cdx.json"),
    log:
        "logs/{model}/write_sbom.log",
    conda:
        "../envs/slipway.yaml"
    params:
        settings=lambda wildcards: keys.write_sbom(),
    message:
        "Writing the bill of materials of {wildcards.model} for {resolved.fleet}"
    shell:
        "python {input.program:q} --model {wildcards.model:q} --indexes {input.indexes:q} "
        "--onnx-records {input.onnx_records:q} --weights-record {input.weights_record:q} "
        "--manifests {input.manifests:q} {params.settings} --output {output:q} --log {log:q}"


rule manifests:
    input:
        expand(rules.write_manifests.output, model=resolved.models),
        expand(rules.write_sbom.output, model=resolved.models),
        expand(rules.write_monitoring.output, model=resolved.models),
    message:
        "Every manifest is written; nothing was deployed"
