# The choice of the served configuration. Needs the load test and the accuracy of every engine. Makes capacity.json (the
# capacity in an open loop), selection.json (the choice), and the charts and PDFs of the load test with the choice.


rule measure_capacity:
    input:
        **ANY_SAMPLES,
        program=program("measure_capacity"),
        weights_record=rules.fetch_weights.output.record,
        records=of_every_engine("engine.json"),
        load_test=rules.load_test.output.record,
        # An accuracy limit can exclude engines. `ancient`, because another accuracy changes no capacity.
        accuracy=ancient(of_every_engine("accuracy.json")),
    output:
        update(in_report("results/{model}/{target}/capacity.json", "Load test")),
    threads: WHOLE_MACHINE
    resources:
        **ON_TARGET,
    params:
        settings=lambda wildcards: keys.measure_capacity(wildcards.target),
        options=options(tensorrt_python=tensorrt_python),
    message:
        "Measuring the capacity of {wildcards.model} on {wildcards.target}: the highest request rate within the limits"
    shell:
        "python {input.program:q} --load-test {input.load_test:q} --accuracy {input.accuracy:q} --engine-records "
        "{input.records:q} --weights-record {input.weights_record:q} --interface {input.interface:q} --samples "
        "{input.samples:q} {params.settings} {params.options} --output {output:q} --log {log:q}"


rule choose_configuration:
    input:
        program=program("choose_configuration"),
        load_test=rules.load_test.output.record,
        capacity=rules.measure_capacity.output,
        accuracy=of_every_engine("accuracy.json"),
    output:
        update(in_report("results/{model}/{target}/selection.json", "Selection")),
    params:
        settings=lambda wildcards: keys.choose_configuration(wildcards.target),
    message:
        "Choosing the configuration of {wildcards.model} to serve on {wildcards.target}"
    shell:
        "python {input.program:q} --load-test {input.load_test:q} --capacity {input.capacity:q} --accuracy "
        "{input.accuracy:q} {params.settings} --output {output:q} --log {log:q}"


rule render_load_test:
    input:
        program=program("render_load_test"),
        load_test=rules.load_test.output.record,
        selection=rules.choose_configuration.output,
    output:
        throughput=update(in_report("results/{model}/{target}/analysis/throughput_latency.svg", "Load test")),
        memory=update(in_report("results/{model}/{target}/analysis/memory_latency.svg", "Load test")),
        summary=update(in_report("results/{model}/{target}/analysis/summary.pdf", "Load test")),
        detail=update(in_report("results/{model}/{target}/analysis/detail.pdf", "Load test")),
    params:
        settings=lambda wildcards: keys.render_load_test(),
    message:
        "Writing the load test's reports of {wildcards.model} on {wildcards.target}"
    shell:
        "python {input.program:q} --load-test {input.load_test:q} --selection {input.selection:q} {params.settings} "
        "--model {wildcards.model:q} --target {wildcards.target:q} --throughput-chart {output.throughput:q} "
        "--memory-chart {output.memory:q} --summary {output.summary:q} --detail {output.detail:q} --log {log:q}"
