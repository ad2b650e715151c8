# The accuracy of a checkpoint and its engines. Needs reference outputs and build records; makes accuracy.json of each.
# `diagnose` finds the layers that make a precision inaccurate; makes results/<model>/diagnosis.<variant>.json.
from slipway.pruning.references import PRECISIONS


rule evaluate_checkpoint:
    input:
        **NETWORK,
        program=program("evaluate_checkpoint"),
        contract=rules.make_contract.output.contract,
        labels=rules.make_contract.output.labels,
    output:
        evaluation=update("results/{model}/evaluation.npz"),
        record=update("results/{model}/accuracy.json"),
    params:
        settings=lambda wildcards: keys.evaluate_checkpoint(wildcards.model),
        options=options(evaluation_data, labels_from=labels_from),
        baseline=baseline,
    message:
        "Evaluating {wildcards.model} in {params.baseline}"
    shell:
        "python {input.program:q} --weights {input.weights:q} --weights-record {input.weights_record:q} --contract "
        "{input.contract:q} --labels {input.labels:q} {params.settings} {params.options} "
        "--evaluation {output.evaluation:q} --output {output.record:q} --log {log:q}"


rule check_accuracy:
    input:
        program=program("check_accuracy"),
        reference=rules.reference_outputs.output.reference,
        labels=rules.make_contract.output.labels,
        evaluation=evaluation_of,
        engine=engine_files,
        record="results/{model}/{target}/{model}.{precision}.engine.json",
    output:
        update("results/{model}/{target}/{model}.{precision}.accuracy.json"),
    resources:
        **ON_TARGET,
    params:
        settings=lambda wildcards: keys.check_accuracy(wildcards.model, wildcards.target, wildcards.precision),
        options=options(evaluation_data, tensorrt_python=tensorrt_python),
        baseline=baseline,
    message:
        "Comparing the {wildcards.precision} engine of {wildcards.model} on {wildcards.target} with {params.baseline}"
    shell:
        "python {input.program:q} --reference {input.reference:q} --labels {input.labels:q} --evaluation {input.evaluation:q} "
        "--engine-record {input.record:q} {params.settings} {params.options} --output {output:q} --log {log:q}"


rule diagnose_precision:
    input:
        **SAMPLES,
        **rules.export_onnx.output,
        program=program("diagnose_precision"),
        reference=rules.reference_outputs.output.reference,
        labels=rules.make_contract.output.labels,
        evaluation=evaluation_of,
    output:
        update("results/{model}/diagnosis.{variant}.json"),
    wildcard_constraints:
        variant="|".join(PRECISIONS),
    threads: WHOLE_MACHINE
    params:
        settings=lambda wildcards: keys.diagnose_precision(wildcards.model, wildcards.variant),
        options=options(evaluation_data, conversion_files=conversion_files),
    message:
        "Finding the layers that make {wildcards.variant} of {wildcards.model} inaccurate"
    shell:
        "python {input.program:q} --model {wildcards.model:q} --variant {wildcards.variant} --onnx {input.onnx:q} "
        "--onnx-record {input.record:q} --samples {input.samples:q} --samples-record {input.samples_record:q} --reference "
        "{input.reference:q} --labels {input.labels:q} --evaluation {input.evaluation:q} {params.settings} {params.options} "
        "--output {output:q} --log {log:q}"
