# From manifests to a live deployment elsewhere: Kubernetes, KServe, Arena or Compose. Needs the manifests, what they are
# about, and what watches it; makes results/<model>/deploy/receipt.<to>.json.


rule deploy_remote:
    input:
        program=ancient(program_file("deploy_remote")),
        manifests=rules.write_manifests.output,
        monitoring=rules.write_monitoring.output,
        # Folders have no checksum; their indexes hold the hash of every file.
        folders=ancient(expand(rules.write_repository.output.folder, target=resolved.fleet, allow_missing=True)),
        indexes=expand(rules.write_repository.output.index, target=resolved.fleet, allow_missing=True),
        golden=rules.reference_outputs.output.golden,
        signatures=lambda wildcards: [
            signature for target in resolved.fleet for signature in made_signatures([wildcards.model], target)
        ],
    output:
        update("results/{model}/deploy/receipt.{to}.json"),
    log:
        "logs/{model}/deploy_remote.{to}.log",
    wildcard_constraints:
        to="arena|compose|kserve|kubernetes",
    conda:
        "../envs/slipway.yaml"
    container:
        None
    params:
        settings=lambda wildcards: keys.deploy_remote(),
        results=lambda wildcards: f"results/{wildcards.model}",
        signed="--signed" if any(config["deploy"]["signing"].values()) else "",
        public_key=public_key,
        # Asking for `input` keeps Snakemake from comparing them: none makes a deployment stale.
        ready_timeout_s=lambda wildcards, input: config["deploy"]["ready_timeout_s"],
        keep_versions=lambda wildcards, input: config["deploy"]["keep_versions"],
        keep_published=lambda wildcards, input: config["deploy"]["publish"]["keep_versions"],
    message:
        "Deploying {wildcards.model} to {wildcards.to}"
    shell:
        "python {input.program:q} --results {params.results:q} {params.settings} {params.signed} {params.public_key} "
        "--ready-timeout-s {params.ready_timeout_s} --keep-versions {params.keep_versions} "
        "--keep-published {params.keep_published} --log {log:q}"
