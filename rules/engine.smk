# From ONNX to an engine. Needs the ONNX file of its precision; makes results/<model>/<target>/<model>.<precision>.*, whose
# files depend on the target's runtime: one rule a runtime, build_<runtime>.


rule build_openvino:
    input:
        program=program("build_engine"),
        onnx=onnx_of,
        data=lambda wildcards: f"{onnx_of(wildcards)}.data",
        record=lambda wildcards: f"{onnx_of(wildcards)}.json",
        # It judges an engine and changes nothing of it.
        golden=ancient(golden_for_gates),
    output:
        engine=update("results/{model}/{target}/{model}.{precision}.openvino.xml"),
        weights=update("results/{model}/{target}/{model}.{precision}.openvino.bin"),
        record=update("results/{model}/{target}/{model}.{precision}.engine.json"),
    wildcard_constraints:
        target=one_of(resolved.targets_of("openvino")),
    # A cluster gives a target's jobs one allocation; profiles/ name the other rules.
    group:
        lambda wildcards: hooks.group("target")
    resources:
        **ON_TARGET,
    params:
        settings=lambda wildcards: keys.build_engine(wildcards.target, wildcards.precision),
        python=untracked(lambda wildcards: resolved.interpreter(wildcards.target)),
        timing_cache=untracked(lambda wildcards: option("--timing-cache", resolved.timing_cache(wildcards.target))),
        golden=lambda wildcards, input: option("--golden", input.golden),
        gates=untracked(lambda wildcards: keys.gates(wildcards.model, wildcards.target, wildcards.precision)),
    message:
        "Building the {wildcards.precision} engine of {wildcards.model} for {wildcards.target}"
    shell:
        "{params.python:q} {input.program:q} --onnx {input.onnx:q} --onnx-record {input.record:q} {params.settings} "
        "{params.timing_cache} {params.golden} {params.gates} --engine {output.engine:q} --record {output.record:q} "
        "--log {log:q}"


use rule build_openvino as build_onnxruntime with:
    output:
        engine=update("results/{model}/{target}/{model}.{precision}.ort.onnx"),
        weights=update("results/{model}/{target}/{model}.{precision}.ort.onnx.data"),
        record=update("results/{model}/{target}/{model}.{precision}.engine.json"),
    wildcard_constraints:
        target=one_of(resolved.targets_of("onnxruntime")),


use rule build_openvino as build_tensorrt with:
    output:
        engine=update("results/{model}/{target}/{model}.{precision}.trt"),
        record=update("results/{model}/{target}/{model}.{precision}.engine.json"),
    wildcard_constraints:
        target=one_of(resolved.targets_of("tensorrt")),


use rule build_openvino as build_tensorrt_rtx with:
    output:
        engine=update("results/{model}/{target}/{model}.{precision}.rtx"),
        record=update("results/{model}/{target}/{model}.{precision}.engine.json"),
    wildcard_constraints:
        target=one_of(resolved.targets_of("tensorrt_rtx")),
    # It builds without a GPU.
    resources:
        seat=1,
