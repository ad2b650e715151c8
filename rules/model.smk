# From a checkpoint to ONNX. Needs `models` in config.yaml; makes samples.*, weights.*, contract.json, interface.json,
# labels.txt, reference_outputs.* and the ONNX file <model>.onnx in results/<model>/.


rule sample_inputs:
    input:
        program=program("sample_inputs"),
    output:
        samples=update("results/{model}/samples.npz"),
        record=update("results/{model}/samples.json"),
    params:
        settings=lambda wildcards: keys.sample_inputs(wildcards.model),
        options=options(lambda wildcards: resolved.file_of_samples(wildcards.model)),
    message:
        "Collecting input samples of {wildcards.model}"
    shell:
        "python {input.program:q} {params.settings} {params.options} --output {output.samples:q} --record "
        "{output.record:q} --log {log:q}"


rule fetch_weights:
    input:
        program=program("fetch_weights"),
        # The samples only test the network. `ancient`, because other samples change no weights.
        samples=ancient(rules.sample_inputs.output.samples),
    output:
        weights=update("results/{model}/weights.safetensors"),
        record=update("results/{model}/weights.json"),
    wildcard_constraints:
        model=one_of(model for model in resolved.models if not resolved.is_program(model)),
    params:
        settings=lambda wildcards: keys.fetch_weights(wildcards.model),
        options=options(checkpoint=local_checkpoint, samples_from=samples_from, no_rehearsal=no_rehearsal),
    message:
        "Fetching the weights of {wildcards.model}"
    shell:
        "python {input.program:q} {params.settings} {params.options} --samples {input.samples:q} "
        "--output {output.weights:q} --record {output.record:q} --log {log:q}"


rule take_program:
    input:
        program=program("take_program"),
        samples=ancient(rules.sample_inputs.output.samples),
    output:
        # A copy of the file in `weights`: a .pt2, TorchScript or ONNX file, which contains the graph of the network.
        network=update("results/{model}/program"),
        # The data file: the weights of an ONNX file over 2 GB, else empty.
        data=update("results/{model}/program.data"),
        record=update("results/{model}/weights.json"),
    wildcard_constraints:
        model=one_of(filter(resolved.is_program, resolved.models)),
    params:
        settings=lambda wildcards: keys.take_program(wildcards.model),
        options=options(checkpoint=local_checkpoint, samples_from=samples_from),
    message:
        "Checking and copying the model file of {wildcards.model}"
    shell:
        "python {input.program:q} {params.settings} {params.options} --samples {input.samples:q} "
        "--output {output.network:q} --record {output.record:q} --log {log:q}"


rule make_contract:
    input:
        **NETWORK,
        **SAMPLES,
        program=program("make_contract"),
    output:
        contract=update("results/{model}/contract.json"),
        interface=update("results/{model}/interface.json"),
        labels=update("results/{model}/labels.txt"),
    params:
        settings=lambda wildcards: keys.make_contract(wildcards.model),
        options=options(samples_from=samples_from, labels_from=labels_from),
    message:
        "Finding the inputs and outputs of {wildcards.model}"
    shell:
        "python {input.program:q} --weights {input.weights:q} --weights-record {input.weights_record:q} --samples "
        "{input.samples:q} --samples-record {input.samples_record:q} {params.settings} {params.options} "
        "--contract {output.contract:q} --interface {output.interface:q} --labels {output.labels:q} --log {log:q}"


rule reference_outputs:
    input:
        **NETWORK,
        **SAMPLES,
        program=program("reference_outputs"),
        contract=rules.make_contract.output.contract,
        labels=rules.make_contract.output.labels,
    output:
        reference=update("results/{model}/reference_outputs.npz"),
        record=update("results/{model}/reference_outputs.json"),
    params:
        settings=lambda wildcards: keys.reference_outputs(wildcards.model),
        baseline=baseline,
    message:
        "Computing the reference outputs of {wildcards.model} with {params.baseline}"
    shell:
        "python {input.program:q} --weights {input.weights:q} --weights-record {input.weights_record:q} --contract "
        "{input.contract:q} --labels {input.labels:q} --samples {input.samples:q} --samples-record "
        "{input.samples_record:q} {params.settings} --output {output.reference:q} --record {output.record:q} --log {log:q}"


rule export_onnx:
    input:
        **NETWORK,
        **ANY_SAMPLES,
        program=program("export_onnx"),
    output:
        onnx=update("results/{model}/{model}.onnx"),
        # The data file: the weights of a network over 2 GB, else empty.
        data=update("results/{model}/{model}.onnx.data"),
        record=update("results/{model}/{model}.onnx.json"),
    params:
        settings=lambda wildcards: keys.export_onnx(wildcards.model),
        baseline=baseline,
    message:
        "Exporting {wildcards.model} to ONNX and comparing it with {params.baseline}"
    shell:
        "python {input.program:q} --weights {input.weights:q} --weights-record {input.weights_record:q} --interface "
        "{input.interface:q} --samples {input.samples:q} {params.settings} --output {output.onnx:q} --record "
        "{output.record:q} --log {log:q}"
