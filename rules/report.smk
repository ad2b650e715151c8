# What a person looks at. Needs the records of everything that was measured; makes results/<model>/report.html.


rule write_report:
    input:
        program=ancient(program_file("write_report")),
        weights_record=rules.fetch_weights.output.record,
        golden_record=rules.reference_outputs.output.record,
        profile=rules.profile_model.output.record,
        onnx_records=onnx_records_of_model,
        accuracy=checkpoint_accuracy,
        measured=measured_of_every_target,
    output:
        update("results/{model}/report.html"),
    log:
        "logs/{model}/write_report.log",
    conda:
        "../envs/slipway.yaml"
    params:
        settings=lambda wildcards: keys.write_report(),
        folder=lambda wildcards, output: Path(output[0]).parent,
    message:
        "Writing the report of {wildcards.model}"
    shell:
        "python {input.program:q} --folder {params.folder:q} {params.settings} --output {output:q} --log {log:q}"
