# The measurements and deployments over time. Needs all measurements. Appends a line to results/<model>/history.jsonl
# and makes a copy of the line, results/<model>/run.json. The history is no rule's output, so Snakemake never removes it.


rule record_run:
    input:
        program=program("record_run"),
        weights_record=rules.fetch_weights.output.record,
        contract=rules.make_contract.output.contract,
        reference_record=rules.reference_outputs.output.record,
        profile=profile_of,
        accuracy=checkpoint_accuracy,
        measured=measured_of,
    output:
        update("results/{model}/run.json"),
    params:
        settings=lambda wildcards: keys.record_run(wildcards.model),
        folder=lambda wildcards, output: Path(output[0]).parent,
    message:
        "Recording the run of {wildcards.model}"
    shell:
        "python {input.program:q} --folder {params.folder:q} --history {params.folder:q}/history.jsonl {params.settings} "
        "--output {output:q} --log {log:q}"


rule compare:
    input:
        program=program("compare"),
        runs=expand(rules.record_run.output, model=resolved.models),
    params:
        results=expand("results/{model}", model=resolved.models),
        options=options(config["regression"], to=PLATFORM.name, run=COMPARE),
    message:
        "Comparing this run with the last live run"
    shell:
        "python {input.program:q} --results {params.results:q} {params.options} --log {log:q}"
