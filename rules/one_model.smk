# One model alone: evidence_<model>, deploy_<model>, rollback_<model> and undeploy_<model>. The other models stay as they are.


for model in resolved.models:

    rule:
        name:
            f"evidence_{model}"
        input:
            evidence_of(model),
        message:
            f"Everything of {model} is measured"

    rule:
        name:
            f"deploy_{model}"
        input:
            evidence_of(model),
            live(model),
        message:
            f"Everything of {model} is measured and live"


# Also models that config.yaml has no longer.
for model in dict.fromkeys([*resolved.models, *deployed_models(PLATFORM.name)]):

    rule:
        name:
            f"rollback_{model}"
        input:
            program=program("rollback"),
        localrule: True
        params:
            **{
                **dict(rules.rollback.params.items()),
                "results": f"results/{model}",
                "alone": shlex.join(["--alone", "--configured", *rules.status.params.results]),
            },
        message:
            f"Going back to the version of {model} that was served before"
        shell:
            ROLLBACK

    rule:
        name:
            f"undeploy_{model}"
        input:
            program=program("withdraw"),
        localrule: True
        params:
            to=PLATFORM.name,
            results=f"results/{model}",
        message:
            f"Stopping {model}"
        shell:
            UNDEPLOY
