# From the FP32 ONNX file to ONNX files of other precisions. Needs results/<model>/<model>.onnx; makes
# results/<model>/<model>.<variant>.onnx and its record. `preflight` tries all these files without a GPU.


rule cast_onnx:
    input:
        **rules.export_onnx.output,
        program=program("cast_onnx"),
        samples=ancient(rules.sample_inputs.output.samples),
    output:
        onnx=update("results/{model}/{model}.{variant}.onnx"),
        data=update("results/{model}/{model}.{variant}.onnx.data"),
        record=update("results/{model}/{model}.{variant}.onnx.json"),
    wildcard_constraints:
        variant="fp16|bf16",
    params:
        settings=lambda wildcards: keys.cast_onnx(wildcards.model, wildcards.variant),
    message:
        "Converting {wildcards.model} to {wildcards.variant} with ModelOpt's AutoCast"
    shell:
        "python {input.program:q} --onnx {input.onnx:q} --onnx-record {input.record:q} --samples {input.samples:q} "
        "--variant {wildcards.variant} {params.settings} --output {output.onnx:q} --record {output.record:q} --log "
        "{log:q}"


rule quantize_onnx:
    input:
        **rules.export_onnx.output,
        program=program("quantize_onnx"),
        samples=ancient(rules.sample_inputs.output.samples),
        samples_record=ancient(rules.sample_inputs.output.record),
    output:
        onnx=update("results/{model}/{model}.{variant}.onnx"),
        data=update("results/{model}/{model}.{variant}.onnx.data"),
        record=update("results/{model}/{model}.{variant}.onnx.json"),
    wildcard_constraints:
        variant="int8|int8-fp16|int8-onnxruntime|fp8",
    threads: WHOLE_MACHINE
    params:
        settings=lambda wildcards: keys.quantize_onnx(wildcards.model, wildcards.variant),
        options=options(calibration_data),
    message:
        "Quantizing {wildcards.model} to {wildcards.variant}, calibrated on real inputs"
    shell:
        "python {input.program:q} --onnx {input.onnx:q} --onnx-record {input.record:q} --samples {input.samples:q} "
        "--samples-record {input.samples_record:q} --variant {wildcards.variant} {params.settings} {params.options} "
        "--output {output.onnx:q} --record {output.record:q} --log {log:q}"


rule preflight_onnx:
    input:
        program=program("preflight_onnx"),
        records=onnx_files(resolved.preflight_variants, ".json"),
        onnx=onnx_files(resolved.preflight_variants),
        data=onnx_files(resolved.preflight_variants, ".data"),
    output:
        update("results/{model}/preflight.json"),
    params:
        settings=lambda wildcards: keys.preflight_onnx(),
    message:
        "Testing without a GPU whether TensorRT accepts the ONNX files of {wildcards.model}"
    shell:
        "python {input.program:q} --onnx {input.onnx:q} --onnx-records {input.records:q} {params.settings} --output "
        "{output:q} --log {log:q}"


rule preflight:
    input:
        expand(rules.preflight_onnx.output, model=resolved.models),
    message:
        "TensorRT accepts every ONNX file"
