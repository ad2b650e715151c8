# How right a checkpoint and its engines are. Needs golden answers and build records; makes accuracy.json of each.


rule evaluate_checkpoint:
    input:
        program=program("evaluate_checkpoint"),
        weights=rules.fetch_weights.output.weights,
        record=rules.fetch_weights.output.record,
        labels=rules.make_contract.output.labels,
        golden=rules.reference_outputs.output.golden,
    output:
        update("results/{model}/accuracy.json"),
    log:
        "logs/{model}/evaluate_checkpoint.log",
    params:
        settings=lambda wildcards: keys.evaluate_checkpoint(wildcards.model),
        labelled=labelled,
        labels_from=labels_from,
    message:
        "Evaluating {wildcards.model} in PyTorch on labelled photographs"
    shell:
        "python {input.program:q} --weights {input.weights:q} --weights-record {input.record:q} --labels "
        "{input.labels:q} --golden {input.golden:q} {params.settings} {params.labelled} {params.labels_from} --output "
        "{output:q} --log {log:q}"


rule check_accuracy:
    input:
        program=program("check_accuracy"),
        weights=rules.fetch_weights.output.weights,
        weights_record=rules.fetch_weights.output.record,
        labels=rules.make_contract.output.labels,
        golden=rules.reference_outputs.output.golden,
        # An engine is compared with PyTorch once that is right itself.
        checkpoint=ancient(checkpoint_accuracy),
        engine=engine_files,
        record="results/{model}/{target}/{model}.{precision}.engine.json",
    output:
        update("results/{model}/{target}/{model}.{precision}.accuracy.json"),
    log:
        "logs/{model}/{target}/accuracy.{precision}.log",
    resources:
        **ON_TARGET,
    params:
        settings=lambda wildcards: keys.check_accuracy(wildcards.model, wildcards.target, wildcards.precision),
        labelled=labelled,
        labels_from=labels_from,
        tensorrt_python=tensorrt_python,
    message:
        "Comparing the {wildcards.precision} engine of {wildcards.model} on {wildcards.target} with PyTorch"
    shell:
        "python {input.program:q} --weights {input.weights:q} --weights-record {input.weights_record:q} --labels "
        "{input.labels:q} --golden {input.golden:q} --engine-record {input.record:q} {params.settings} "
        "{params.labelled} {params.labels_from} {params.tensorrt_python} --output {output:q} --log {log:q}"
