# From the measurements to deployment manifests, monitoring and the bill of materials. For every target that serves the
# model, needs its index, selection, load test and build records. Makes results/<model>/deploy/*. Deploys nothing.


rule write_monitoring:
    input:
        program=program("write_monitoring"),
        selections=expand(rules.choose_configuration.output, target=resolved.monitored_targets, allow_missing=True),
        indexes=expand(rules.write_repository.output.index, target=resolved.monitored_targets, allow_missing=True),
    output:
        rules=update("results/{model}/deploy/prometheus-rules.yaml"),
        dashboard=update("results/{model}/deploy/grafana.json"),
    params:
        settings=lambda wildcards: keys.write_monitoring(),
    message:
        "Writing the alerts and the dashboard of {wildcards.model}"
    shell:
        "python {input.program:q} --selections {input.selections:q} --indexes {input.indexes:q} {params.settings} "
        "--rules {output.rules:q} --dashboard {output.dashboard:q} --log {log:q}"


rule write_manifests:
    input:
        writable_manifests,
        program=program("write_manifests"),
        indexes=expand(rules.write_repository.output.index, target=resolved.fleet, allow_missing=True),
        selections=expand(rules.choose_configuration.output, target=resolved.fleet, allow_missing=True),
        load_tests=expand(rules.load_test.output.record, target=resolved.fleet, allow_missing=True),
    output:
        files=[update(f"results/{{model}}/deploy/{name}") for name in manifest_files()],
        record=update("results/{model}/deploy/manifests.json"),
    params:
        settings=lambda wildcards: keys.write_manifests(),
    message:
        "Writing the manifests of {wildcards.model} for {resolved.fleet}"
    shell:
        "python {input.program:q} --model {wildcards.model:q} --indexes {input.indexes:q} --selections "
        "{input.selections:q} --load-tests {input.load_tests:q} {params.settings} --files {output.files:q} "
        "--record {output.record:q} --log {log:q}"


rule write_sbom:
    input:
        program=program("write_sbom"),
        indexes=rules.write_manifests.input.indexes,
        onnx_records=onnx_files(lambda model: resolved.variants_of(model, resolved.fleet), ".json"),
        weights_record=rules.fetch_weights.output.record,
        manifests=rules.write_manifests.output.record,
    output:
        update("results/{model}/deploy/sbom.cdx.json"),
    params:
        settings=lambda wildcards: keys.write_sbom(),
    message:
        "Writing the bill of materials of {wildcards.model} for {resolved.fleet}"
    shell:
        "python {input.program:q} --model {wildcards.model:q} --indexes {input.indexes:q} --onnx-records "
        "{input.onnx_records:q} --weights-record {input.weights_record:q} --manifests {input.manifests:q} "
        "{params.settings} --output {output:q} --log {log:q}"


rule manifests:
    input:
        expand(rules.write_manifests.output, model=resolved.models),
        expand(rules.write_sbom.output, model=resolved.models),
        expand(rules.write_monitoring.output, model=resolved.models),
    message:
        "All manifests are written; nothing was deployed"
