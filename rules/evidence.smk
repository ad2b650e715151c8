# What proves an engine. Needs its build record; makes benchmark.json, accuracy.json, analysis/ and selection.json.


rule benchmark:
    input:
        program=ancient(program_file("benchmark")),
        weights=rules.fetch_weights.output.weights,
        weights_record=rules.fetch_weights.output.record,
        onnx=rules.export_onnx.output.onnx,
        engines=engines_of,
        records=engine_records,
    output:
        update("results/{model}/{target}/{model}.benchmark.json"),
    log:
        "logs/{model}/{target}/benchmark.log",
    conda:
        "../envs/slipway.yaml"
    threads: WHOLE_MACHINE
    resources:
        **ON_TARGET,
    params:
        settings=lambda wildcards: plan.benchmark(wildcards.model, wildcards.target),
        tensorrt_python=tensorrt_python,
    message:
        "Measuring PyTorch and every engine of {wildcards.model} on {wildcards.target}"
    shell:
        "python {input.program:q} --weights {input.weights:q} --weights-record {input.weights_record:q} "
        "--onnx {input.onnx:q} --engine-records {input.records:q} {params.settings} {params.tensorrt_python} "
        "--output {output:q} --log {log:q}"


rule evaluate_checkpoint:
    input:
        program=ancient(program_file("evaluate_checkpoint")),
        weights=rules.fetch_weights.output.weights,
        record=rules.fetch_weights.output.record,
        labels=rules.fetch_weights.output.labels,
        golden=rules.make_golden.output.golden,
    output:
        update("results/{model}/accuracy.json"),
    log:
        "logs/{model}/evaluate_checkpoint.log",
    conda:
        "../envs/slipway.yaml"
    params:
        settings=lambda wildcards: plan.checkpoint_accuracy(wildcards.model),
        # Asking for `input` keeps Snakemake from comparing them: their contents are in the settings.
        labelled=lambda wildcards, input: option("--labelled", config["accuracy"]["labelled"]),
        labels_from=lambda wildcards, input: option("--labels-from", config["models"][wildcards.model]["labels"]),
    message:
        "Evaluating {wildcards.model} in PyTorch on labelled photographs"
    shell:
        "python {input.program:q} --weights {input.weights:q} --weights-record {input.record:q} "
        "--labels {input.labels:q} --golden {input.golden:q} {params.settings} {params.labelled} {params.labels_from} "
        "--output {output:q} --log {log:q}"


rule check_accuracy:
    input:
        program=ancient(program_file("check_accuracy")),
        weights=rules.fetch_weights.output.weights,
        weights_record=rules.fetch_weights.output.record,
        labels=rules.fetch_weights.output.labels,
        golden=rules.make_golden.output.golden,
        # An engine is compared with PyTorch once that is right itself.
        checkpoint=ancient(checkpoint_accuracy),
        engine=engine_files,
        record="results/{model}/{target}/{model}.{precision}.engine.json",
    output:
        update("results/{model}/{target}/{model}.{precision}.accuracy.json"),
    log:
        "logs/{model}/{target}/accuracy.{precision}.log",
    conda:
        "../envs/slipway.yaml"
    resources:
        **ON_TARGET,
    params:
        settings=lambda wildcards: plan.accuracy(wildcards.model, wildcards.target, wildcards.precision),
        # Asking for `input` keeps Snakemake from comparing them: their contents are in the settings.
        labelled=lambda wildcards, input: option("--labelled", config["accuracy"]["labelled"]),
        labels_from=lambda wildcards, input: option("--labels-from", config["models"][wildcards.model]["labels"]),
        tensorrt_python=tensorrt_python,
    message:
        "Comparing the {wildcards.precision} engine of {wildcards.model} on {wildcards.target} with PyTorch"
    shell:
        "python {input.program:q} --weights {input.weights:q} --weights-record {input.weights_record:q} "
        "--labels {input.labels:q} --golden {input.golden:q} --engine-record {input.record:q} {params.settings} "
        "{params.labelled} {params.labels_from} {params.tensorrt_python} --output {output:q} --log {log:q}"


rule load_test:
    input:
        program=ancient(program_file("load_test")),
        weights_record=rules.fetch_weights.output.record,
        labels=rules.fetch_weights.output.labels,
        records=engine_records,
        # Only engines that were proven accurate are tested; what proved them does not change how fast they are.
        accuracy=ancient(accuracy_records),
    output:
        table=update("results/{model}/{target}/analysis/analysis.csv"),
        record=update("results/{model}/{target}/analysis/analysis.json"),
        original=update("results/{model}/{target}/analysis/model_analyzer.csv"),
        plots=update(directory("results/{model}/{target}/analysis/plots")),
    log:
        "logs/{model}/{target}/load_test.log",
    conda:
        "../envs/slipway.yaml"
    threads: WHOLE_MACHINE
    resources:
        **ON_TARGET,
    params:
        settings=lambda wildcards: plan.load_test(wildcards.model, wildcards.target),
        tensorrt_python=tensorrt_python,
    message:
        "Load-testing {wildcards.model} on {wildcards.target} with Model Analyzer and a real Triton server"
    shell:
        "python {input.program:q} --model {wildcards.model:q} --engine-records {input.records:q} "
        "--weights-record {input.weights_record:q} --labels {input.labels:q} {params.settings} "
        "{params.tensorrt_python} --table {output.table:q} --record {output.record:q} --original {output.original:q} --plots {output.plots:q} "
        "--log {log:q}"


rule typeset_reports:
    input:
        program=ancient(program_file("typeset_reports")),
        record=rules.load_test.output.record,
        # A folder has no checksum; the record, made with it, tells whether it changed.
        plots=ancient(rules.load_test.output.plots),
    output:
        chart=update("results/{model}/{target}/analysis/throughput_latency.png"),
        summary=update("results/{model}/{target}/analysis/summary.pdf"),
        detail=update("results/{model}/{target}/analysis/detail.pdf"),
    log:
        "logs/{model}/{target}/typeset_reports.log",
    conda:
        "../envs/slipway.yaml"
    params:
        settings=lambda wildcards: plan.reports(),
    message:
        "Typesetting the load test's reports of {wildcards.model} on {wildcards.target}"
    shell:
        "python {input.program:q} --load-test {input.record:q} --plots {input.plots:q} {params.settings} "
        "--model {wildcards.model:q} --target {wildcards.target:q} "
        "--chart {output.chart:q} --summary {output.summary:q} --detail {output.detail:q} --log {log:q}"


rule choose_configuration:
    input:
        program=ancient(program_file("choose_configuration")),
        load_test=rules.load_test.output.record,
        accuracy=accuracy_records,
    output:
        update("results/{model}/{target}/selection.json"),
    log:
        "logs/{model}/{target}/choose_configuration.log",
    conda:
        "../envs/slipway.yaml"
    params:
        settings=lambda wildcards: plan.selection(),
    message:
        "Choosing what to serve of {wildcards.model} on {wildcards.target}"
    shell:
        "python {input.program:q} --load-test {input.load_test:q} --accuracy {input.accuracy:q} {params.settings} "
        "--output {output:q} --log {log:q}"
