# What watches a deployed model. Needs the deployed target's selection.json and repository.json; makes the Prometheus
# rules and the Grafana dashboard in results/<model>/deploy/.


rule write_monitoring:
    input:
        program=ancient(program_file("write_monitoring")),
        selection=expand(rules.choose_configuration.output, target=plan.deployed_target, allow_missing=True),
        index=expand(rules.write_repository.output.index, target=plan.deployed_target, allow_missing=True),
    output:
        rules=update("results/{model}/deploy/prometheus-rules.yaml"),
        dashboard=update("results/{model}/deploy/grafana.json"),
    log:
        "logs/{model}/write_monitoring.log",
    conda:
        "../envs/slipway.yaml"
    params:
        settings=lambda wildcards: plan.monitoring(),
    message:
        "Writing the alerts and the dashboard of {wildcards.model}"
    shell:
        "python {input.program:q} --selection {input.selection:q} --index {input.index:q} {params.settings} "
        "--rules {output.rules:q} --dashboard {output.dashboard:q} --log {log:q}"
