# From model repositories to where a cluster reads them. Needs the repositories of the fleet; makes
# results/<model>/<target>/repository.sig, where there is a key to sign with, and published.json.


rule sign_repository:
    input:
        program=ancient(program_file("sign_repository")),
        folder=ancient(expand(rules.write_repository.output.folder, allow_missing=True)),
        index=rules.write_repository.output.index,
    output:
        update("results/{model}/{target}/repository.sig"),
    log:
        "logs/{model}/{target}/sign_repository.log",
    conda:
        "../envs/slipway.yaml"
    params:
        # The private key is no input: Snakemake would write its SHA-256 down. Its public half is in the settings.
        settings=lambda wildcards: keys.sign_repository(signature(wildcards.model, wildcards.target)),
        public_key=public_key,
    message:
        "Signing the repository of {wildcards.model} for {wildcards.target}"
    shell:
        "python {input.program:q} --folder {input.folder:q} --index {input.index:q} {params.settings} "
        "{params.public_key} --signature {output:q} --log {log:q}"


rule publish_repository:
    input:
        program=ancient(program_file("publish_repository")),
        # A folder has no checksum; its index holds the hash of every file. expand() makes a name to flag of its own.
        folder=ancient(expand(rules.write_repository.output.folder, allow_missing=True)),
        index=rules.write_repository.output.index,
        signature=lambda wildcards: made_signatures([wildcards.model], wildcards.target),
    output:
        update("results/{model}/{target}/published.json"),
    log:
        "logs/{model}/{target}/publish.log",
    conda:
        "../envs/slipway.yaml"
    container:
        None
    params:
        settings=lambda wildcards: keys.publish_repository(
            f"results/{wildcards.model}/{wildcards.target}/published.json"
        ),
        # Asking for `input` keeps Snakemake from comparing them: neither makes what is published stale.
        keep_versions=lambda wildcards, input: config["deploy"]["publish"]["keep_versions"],
        public_key=public_key,
        signature=signature_option,
    message:
        "Publishing the repository of {wildcards.model} for {wildcards.target}"
    shell:
        "python {input.program:q} --model {wildcards.model:q} --target {wildcards.target:q} --folder {input.folder:q} "
        "--index {input.index:q} {params.settings} {params.signature} {params.public_key} "
        "--keep-versions {params.keep_versions} --record {output:q} --log {log:q}"


rule publish:
    input:
        expand(rules.publish_repository.output, model=resolved.models, target=resolved.fleet),
    message:
        "Every repository of the fleet is published"
