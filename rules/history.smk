# What was measured and deployed over time. Needs all measurements; appends a line to results/<model>/history.jsonl, which is no
# rule's output, so that Snakemake never removes it, and makes its copy, results/<model>/run.json.


# What `regression` limits, and the runs that it accepts, as options of the programs that hold it.
REGRESSION = JobKey(config["regression"])


rule record_run:
    input:
        program=program("record_run"),
        weights_record=rules.fetch_weights.output.record,
        contract=rules.make_contract.output.contract,
        golden_record=rules.reference_outputs.output.record,
        profile=lambda wildcards: profile_of(wildcards.model),
        accuracy=checkpoint_accuracy,
        measured=measured_of,
    output:
        update("results/{model}/run.json"),
    params:
        settings=lambda wildcards: keys.record_run(
            wildcards.model, f"results/{wildcards.model}/run.json", history_of(wildcards)
        ),
        folder=lambda wildcards, output: Path(output[0]).parent,
        history=untracked(history_of),
    message:
        "Recording the run of {wildcards.model}"
    shell:
        "python {input.program:q} --folder {params.folder:q} --history {params.history:q} {params.settings} "
        "--output {output:q} --log {log:q}"


rule compare:
    input:
        program=program("compare"),
        runs=expand(rules.record_run.output, model=resolved.models),
    params:
        results=expand("results/{model}", model=resolved.models),
        to=PLATFORM.name,
        beside=option("--beside", COMPARE),
        regression=REGRESSION,
    message:
        "This run beside the last one that was live"
    shell:
        "python {input.program:q} --results {params.results:q} --to {params.to} {params.beside} {params.regression} "
        "--log {log:q}"
