# What a person asks for: `evidence`, `deploy` and `diagnose` of all models, or of one alone, such as deploy_<model>. The other
# models stay as they are then. `snakemake` without a target makes the first rule.


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
