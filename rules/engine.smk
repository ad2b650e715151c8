# From ONNX to an engine. Needs results/<model>/<model>.onnx; makes results/<model>/<target>/<model>.<precision>.*, whose
# files depend on the target's runtime: one rule a runtime.


rule build_openvino:
    input:
        program=program("build_engine"),
        runtime=runtime_of,
        onnx=rules.export_onnx.output.onnx,
        record=rules.export_onnx.output.record,
    output:
        engine=update("results/{model}/{target}/{model}.{precision}.openvino.xml"),
        weights=update("results/{model}/{target}/{model}.{precision}.openvino.bin"),
        record=update("results/{model}/{target}/{model}.{precision}.engine.json"),
    log:
        "logs/{model}/{target}/build.{precision}.log",
    wildcard_constraints:
        target=one_of(plan.targets_of("openvino")),
    conda:
        "../envs/slipway.yaml"
    params:
        settings=lambda wildcards: plan.engine(wildcards.target, wildcards.precision),
    message:
        "Building the {wildcards.precision} engine of {wildcards.model} for {wildcards.target} with OpenVINO"
    shell:
        "python {input.program[0]:q} --onnx {input.onnx:q} --onnx-record {input.record:q} {params.settings} "
        "--engine {output.engine:q} --record {output.record:q} --log {log:q}"


use rule build_openvino as build_onnxruntime with:
    output:
        engine=update("results/{model}/{target}/{model}.{precision}.ort.onnx"),
        record=update("results/{model}/{target}/{model}.{precision}.engine.json"),
    wildcard_constraints:
        target=one_of(plan.targets_of("onnxruntime")),
    message:
        "Building the {wildcards.precision} engine of {wildcards.model} for {wildcards.target} with ONNX Runtime"
