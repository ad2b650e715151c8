# Find edited artifacts, and say in words why each job runs. The jobs of the acting rules change more than their outputs:
# a server, or a cluster.
hooks.track_artifacts(acting=["deploy_release"])


onstart:
    hooks.begin_run(config)


onsuccess:
    hooks.end_run()


onerror:
    hooks.end_run()


# Of a module, Snakemake calls none of these.
hooks.join_handlers(config)
