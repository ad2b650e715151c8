# Show the files that no configuration refers to any more. With `--config prune=yes`, remove them.


rule prune:
    input:
        program=program("prune"),
    params:
        options=JobKey(
            models=resolved.models,
            targets=resolved.targets,
            engines=[
                f"{model}/{target}/{name}" for model in resolved.models for target, name in resolved.engines(model)
            ],
            variants=[f"{model}/{name}" for model in resolved.models for name in resolved.preflight_variants(model)],
            weights=[str(settings["weights"]) for settings in config["models"].values()],
            programs=list(filter(resolved.is_program, resolved.models)),
            configurations=hooks.configfiles(),
            remove=PRUNE,
        ),
    message:
        "Finding the files that no configuration needs"
    shell:
        "python {input.program:q} {params.options} --log {log:q}"
