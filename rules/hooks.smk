# Find edited artifacts, and say in words why each job runs. `acting` are the rules whose jobs change more than their
# outputs: a server, or a cluster.
hooks.track_artifacts(acting=["deploy_release"])


onstart:
    hooks.begin_run(config)


onsuccess:
    hooks.end_run()


onerror:
    hooks.end_run()


# If another workflow uses this one as a module, Snakemake does not call the handlers above.
hooks.join_handlers(config)
