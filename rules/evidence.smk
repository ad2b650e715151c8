# The speed of a model and its engines: makes profile/, benchmark.json, analysis/, and the pages with all measurements:
# results/<model>/report.html of one model, and results/index.html of all models.


rule profile_model:
    input:
        **NETWORK,
        **ANY_SAMPLES,
        program=program("profile_model"),
    output:
        trace=update("results/{model}/profile/{model}.pt.trace.json.gz"),
        record=update("results/{model}/profile/profile.json"),
    threads: WHOLE_MACHINE
    params:
        settings=lambda wildcards: keys.profile_model(wildcards.model),
    message:
        "Profiling {wildcards.model} in PyTorch"
    shell:
        "python {input.program:q} --weights {input.weights:q} --weights-record {input.weights_record:q} --interface "
        "{input.interface:q} --samples {input.samples:q} {params.settings} --trace {output.trace:q} --record "
        "{output.record:q} --log {log:q}"


rule benchmark:
    input:
        **NETWORK,
        **ANY_SAMPLES,
        program=program("benchmark"),
        onnx=rules.export_onnx.output.onnx,
        data=rules.export_onnx.output.data,
        engines=engines_of,
        records=of_every_engine("engine.json"),
    output:
        update(in_report("results/{model}/{target}/{model}.benchmark.json", "Benchmark")),
    threads: WHOLE_MACHINE
    resources:
        **ON_TARGET,
    params:
        settings=lambda wildcards: keys.benchmark(wildcards.model, wildcards.target),
        options=options(tensorrt_python=tensorrt_python),
        baseline=baseline,
    message:
        "Benchmarking {params.baseline} and every engine of {wildcards.model} on {wildcards.target}"
    shell:
        "python {input.program:q} --weights {input.weights:q} --weights-record {input.weights_record:q} --interface "
        "{input.interface:q} --samples {input.samples:q} --onnx {input.onnx:q} --engine-records {input.records:q} "
        "{params.settings} {params.options} --output {output:q} --log {log:q}"


rule load_test:
    input:
        **ANY_SAMPLES,
        program=program("load_test"),
        weights_record=rules.fetch_weights.output.record,
        records=of_every_engine("engine.json"),
        # Every engine must have passed `check_accuracy`; otherwise no load test starts. `ancient`, because another
        # accuracy changes no speed.
        accuracy=ancient(of_every_engine("accuracy.json")),
        # The coarse filter reads the benchmark, and leaves out precisions that break a limit even without load. If a limit
        # is relaxed later, the setting `widened` in the key makes this job stale.
        benchmark=ancient(rules.benchmark.output),
        server=runnable_server,
    output:
        table=update("results/{model}/{target}/analysis/analysis.csv"),
        record=update("results/{model}/{target}/analysis/analysis.json"),
        original=update("results/{model}/{target}/analysis/model_analyzer.csv"),
        plots=update(directory("results/{model}/{target}/analysis/plots")),
    threads: WHOLE_MACHINE
    resources:
        **ON_TARGET,
    params:
        settings=lambda wildcards: keys.load_test(wildcards.model, wildcards.target),
        options=options(
            keys.limits_of_filter(),
            tensorrt_python=tensorrt_python,
            server_why=lambda wildcards: resolved.server(wildcards.target).why,
            # The folder of measured points: an interrupted or widened load test does not measure them again.
            kept=lambda wildcards: f"results/.measured/{wildcards.model}/{wildcards.target}",
        ),
    message:
        "Load-testing {wildcards.model} on {wildcards.target} with Model Analyzer and a real Triton server"
    shell:
        "python {input.program:q} --model {wildcards.model:q} --engine-records {input.records:q} --weights-record "
        "{input.weights_record:q} --interface {input.interface:q} --samples {input.samples:q} {params.settings} "
        "{params.options} --benchmark {input.benchmark:q} --table {output.table:q} --record {output.record:q} --original "
        "{output.original:q} --plots {output.plots:q} --log {log:q}"


rule write_report:
    input:
        program=program("write_report"),
        weights_record=rules.fetch_weights.output.record,
        contract=rules.make_contract.output.contract,
        reference=rules.reference_outputs.output.reference,
        reference_record=rules.reference_outputs.output.record,
        labels=rules.make_contract.output.labels,
        profile=profile_of,
        onnx_records=onnx_files(resolved.variants, ".json"),
        accuracy=checkpoint_accuracy,
        measured=measured_of,
        # The job of this input appends the run to the history. The page shows the lines of the history.
        run="results/{model}/run.json",
    output:
        update(in_report("results/{model}/report.html", "Everything")),
    params:
        settings=lambda wildcards: keys.write_report(wildcards.model),
        folder=lambda wildcards, output: Path(output[0]).parent,
    message:
        "Writing the report of {wildcards.model}"
    shell:
        "python {input.program:q} --folder {params.folder:q} {params.settings} --output {output:q} --log {log:q}"


rule write_index:
    input:
        program=program("write_index"),
        pages=expand(rules.write_report.output, model=resolved.models),
    output:
        update("results/index.html"),
    params:
        settings=lambda wildcards: keys.write_index(),
        folder=lambda wildcards, output: Path(output[0]).parent,
    message:
        "Writing the index of all models"
    shell:
        "python {input.program:q} --folder {params.folder:q} {params.settings} --output {output:q} --log {log:q}"
