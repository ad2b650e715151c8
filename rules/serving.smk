# From the chosen configuration to a Triton model repository. Needs selection.json and the engines; makes
# results/<model>/<target>/repository/<model>_trt/ and its index.


rule write_repository:
    input:
        program=ancient(program_file("write_repository")),
        selection=rules.choose_configuration.output,
        records=engine_records,
        weights_record=rules.fetch_weights.output.record,
        golden_record=rules.reference_outputs.output.record,
        labels=rules.fetch_weights.output.labels,
    output:
        folder=update(directory("results/{model}/{target}/repository/{model}_trt")),
        index=update("results/{model}/{target}/repository.json"),
    log:
        "logs/{model}/{target}/write_repository.log",
    conda:
        "../envs/slipway.yaml"
    params:
        settings=lambda wildcards: keys.write_repository(wildcards.model, wildcards.target),
        # Asking for `input` keeps Snakemake from comparing it: an image that was pulled makes no repository stale.
        lock=lambda wildcards, input: json.dumps(resolved.lock(wildcards.target)),
    message:
        "Writing the Triton repository of {wildcards.model} for {wildcards.target}"
    shell:
        "python {input.program:q} {params.settings} --selection {input.selection:q} "
        "--engine-records {input.records:q} --weights-record {input.weights_record:q} "
        "--golden-record {input.golden_record:q} --labels {input.labels:q} "
        "--lock {params.lock:q} --folder {output.folder:q} --index {output.index:q} --log {log:q}"
