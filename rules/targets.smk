# The targets for users: `evidence`, `deploy` and `diagnose` for all models, or for one, such as deploy_<model>. This
# changes no other model. `snakemake` without a target makes the first rule, `evidence`.


for ending, models in {"": resolved.models, **{f"_{model}": [model] for model in resolved.models}}.items():

    rule:
        name:
            f"evidence{ending}"
        input:
            evidence_of(*models),
        message:
            f"Measured: {', '.join(models)}"

    rule:
        name:
            f"deploy{ending}"
        input:
            evidence_of(*models),
            live(*models),
            [] if ending else withdrawal,
        message:
            f"Measured and live: {', '.join(models)}"

    rule:
        name:
            f"diagnose{ending}"
        input:
            diagnosis_of(*models),
        message:
            f"Diagnosed in every precision: {', '.join(models)}"
