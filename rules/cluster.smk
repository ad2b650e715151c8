# Where jobs run on a cluster, and with which resources. On one machine these limit nothing. profiles/ has more, by rule.


# The jobs of these rules run where Snakemake runs, since they take seconds or need the internet.
localrules:
    choose_configuration,
    compare,
    deploy_release,
    fetch_weights,
    make_contract,
    prune,
    publish_repository,
    record_run,
    sample_inputs,
    sign_repository,
    status,
    take_program,
    render_load_test,
    withdraw,
    write_index,
    write_manifests,
    write_monitoring,
    write_report,
    write_repository,


# Jobs of a group share the machine one at a time, since each measures all of it.
resource_scopes:
    seat="local",


# The resources that a job on a target requests from a cluster.
ON_TARGET = hooks.resources_on_target(resolved)
# The cores of a job that measures speed, which has the machine to itself. Snakemake lowers them to --cores: 2 in the Makefile.
WHOLE_MACHINE = max(2, usable_cores())
