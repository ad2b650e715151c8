# From a checkpoint to ONNX. Needs config.yaml's `models`; makes results/<model>/weights.*, golden.*, profile/ and ONNX.


rule fetch_weights:
    input:
        program=program("fetch_weights"),
    output:
        weights=update("results/{model}/weights.safetensors"),
        record=update("results/{model}/weights.json"),
        labels=update("results/{model}/labels.txt"),
    log:
        "logs/{model}/fetch_weights.log",
    params:
        settings=lambda wildcards: keys.fetch_weights(wildcards.model),
        checkpoint=untracked(lambda wildcards: option("--checkpoint", resolved.checkpoint(wildcards.model))),
        labels=labels_from,
        size=untracked(lambda wildcards: option("--try-with", resolved.crop(wildcards.model))),
    message:
        "Fetching the weights of {wildcards.model}"
    shell:
        "python {input.program:q} {params.settings} {params.checkpoint} {params.labels} {params.size} --output "
        "{output.weights:q} --record {output.record:q} --labels {output.labels:q} --log {log:q}"


rule reference_outputs:
    input:
        program=program("reference_outputs"),
        weights=rules.fetch_weights.output.weights,
        record=rules.fetch_weights.output.record,
        labels=rules.fetch_weights.output.labels,
    output:
        golden=update("results/{model}/golden.npz"),
        record=update("results/{model}/golden.json"),
    log:
        "logs/{model}/reference_outputs.log",
    params:
        settings=lambda wildcards: keys.reference_outputs(wildcards.model),
        image=untracked(option("--image", config["image"])),
    message:
        "Asking PyTorch about the sample photograph with {wildcards.model}"
    shell:
        "python {input.program:q} --weights {input.weights:q} --weights-record {input.record:q} --labels "
        "{input.labels:q} {params.image} {params.settings} --output {output.golden:q} --record {output.record:q} --log "
        "{log:q}"


rule profile_model:
    input:
        program=program("profile_model"),
        weights=rules.fetch_weights.output.weights,
        record=rules.fetch_weights.output.record,
    output:
        trace=update("results/{model}/profile/{model}.pt.trace.json.gz"),
        record=update("results/{model}/profile/profile.json"),
    log:
        "logs/{model}/profile_model.log",
    threads: WHOLE_MACHINE
    params:
        settings=lambda wildcards: keys.profile_model(wildcards.model),
    message:
        "Profiling {wildcards.model} in PyTorch"
    shell:
        "python {input.program:q} --weights {input.weights:q} --weights-record {input.record:q} {params.settings} "
        "--trace {output.trace:q} --record {output.record:q} --log {log:q}"


rule export_onnx:
    input:
        program=program("export_onnx"),
        weights=rules.fetch_weights.output.weights,
        record=rules.fetch_weights.output.record,
    output:
        onnx=update("results/{model}/{model}.onnx"),
        record=update("results/{model}/{model}.onnx.json"),
    log:
        "logs/{model}/export_onnx.log",
    params:
        settings=lambda wildcards: keys.export_onnx(wildcards.model),
    message:
        "Exporting {wildcards.model} to ONNX and comparing it with PyTorch"
    shell:
        "python {input.program:q} --weights {input.weights:q} --weights-record {input.record:q} {params.settings} "
        "--output {output.onnx:q} --record {output.record:q} --log {log:q}"
