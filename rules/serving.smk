# From the chosen configuration to a Triton model repository. Needs selection.json and the engines; makes
# results/<model>/<target>/repository/<model>_trt/ and its index.


rule write_repository:
    input:
        program=program("write_repository"),
        adapter=adapter_file(),
        runtime=runtime_of,
        selection=rules.choose_configuration.output,
        records=engine_records,
        weights_record=rules.fetch_weights.output.record,
        labels=rules.fetch_weights.output.labels,
    output:
        folder=update(directory("results/{model}/{target}/repository/{model}_trt")),
        index=update("results/{model}/{target}/repository.json"),
    log:
        "logs/{model}/{target}/write_repository.log",
    conda:
        "../envs/slipway.yaml"
    params:
        settings=lambda wildcards: plan.repository(wildcards.model),
    message:
        "Writing the Triton repository of {wildcards.model} for {wildcards.target}"
    shell:
        "python {input.program[0]:q} {params.settings} --selection {input.selection:q} "
        "--engine-records {input.records:q} --weights-record {input.weights_record:q} --labels {input.labels:q} "
        "--folder {output.folder:q} --index {output.index:q} --log {log:q}"
