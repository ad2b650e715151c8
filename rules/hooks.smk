# Find edited artifacts, and say in words why each job runs. The jobs of the acting rules change more than their outputs:
# a server, or a cluster.
hooks.track_artifacts(acting=["deploy_release"])


onstart:
    hooks.begin_run(config)


onsuccess:
    hooks.end_run()


onerror:
    hooks.end_run()


# If another workflow takes this one as a module, Snakemake calls none of the handlers above.
hooks.join_handlers(config)
