# What watches a deployed model. Needs selection.json and repository.json of the targets that serve it; makes the
# Prometheus rules and the Grafana dashboard in results/<model>/deploy/.


rule write_monitoring:
    input:
        program=ancient(program_file("write_monitoring")),
        selections=expand(rules.choose_configuration.output, target=resolved.monitored_targets, allow_missing=True),
        indexes=expand(rules.write_repository.output.index, target=resolved.monitored_targets, allow_missing=True),
    output:
        rules=update("results/{model}/deploy/prometheus-rules.yaml"),
        dashboard=update("results/{model}/deploy/grafana.json"),
    log:
        "logs/{model}/write_monitoring.log",
    conda:
        "../envs/slipway.yaml"
    params:
        settings=lambda wildcards: keys.write_monitoring(),
    message:
        "Writing the alerts and the dashboard of {wildcards.model}"
    shell:
        "python {input.program:q} --selections {input.selections:q} --indexes {input.indexes:q} {params.settings} "
        "--rules {output.rules:q} --dashboard {output.dashboard:q} --log {log:q}"
