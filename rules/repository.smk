# From the chosen configuration to a Triton model repository. Needs selection.json and the engines; makes
# results/<model>/<target>/repository/<model>_trt/, its index and, if config.yaml names a private key, repository.sig.


rule write_repository:
    input:
        program=program("write_repository"),
        selection=rules.choose_configuration.output,
        records=of_every_engine("engine.json"),
        weights_record=rules.fetch_weights.output.record,
        contract=rules.make_contract.output.contract,
        labels=rules.make_contract.output.labels,
    output:
        folder=update(directory("results/{model}/{target}/repository/{model}_trt")),
        index=update("results/{model}/{target}/repository.json"),
    params:
        settings=lambda wildcards: keys.write_repository(wildcards.model, wildcards.target),
        options=options(lock=lambda wildcards: json.dumps(resolved.lock(wildcards.target))),
    message:
        "Writing the Triton repository of {wildcards.model} for {wildcards.target}"
    shell:
        "python {input.program:q} {params.settings} --selection {input.selection:q} --engine-records {input.records:q} "
        "--weights-record {input.weights_record:q} --contract {input.contract:q} --labels {input.labels:q} "
        "{params.options} --folder {output.folder:q} --index {output.index:q} --log {log:q}"


rule sign_repository:
    input:
        program=program("sign_repository"),
        folder=ancient(rules.write_repository.output.folder),
        index=rules.write_repository.output.index,
    output:
        update("results/{model}/{target}/repository.sig"),
    params:
        # The private key is no input, since Snakemake would store its SHA-256. The settings have its public half's SHA-256.
        settings=lambda wildcards: keys.sign_repository(wildcards.model, wildcards.target),
        options=options(public_key=config["deploy"]["signing"]["public_key"]),
    message:
        "Signing the repository of {wildcards.model} for {wildcards.target}"
    shell:
        "python {input.program:q} --folder {input.folder:q} --index {input.index:q} {params.settings} "
        "{params.options} --signature {output:q} --log {log:q}"
