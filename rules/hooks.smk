# What is known of the artifacts from earlier runs: it stays with them, finds those that were edited, and says in words
# why a job runs.

# The jobs of these rules change more than their outputs: a server, or a cluster.
hooks.track_artifacts(acting=["deploy_local", "deploy_remote"])


onstart:
    hooks.begin_run(config)


onsuccess:
    hooks.end_run()


onerror:
    hooks.end_run()
