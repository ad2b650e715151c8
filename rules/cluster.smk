# The jobs and their resources on a cluster. On one machine, these limit nothing. profiles/ has more resources, by rule.


# The jobs of these rules run on the machine of Snakemake itself, since they take seconds or need the internet.
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


# Jobs of one group run on the same machine, but one at a time, since each job measures the whole machine.
resource_scopes:
    seat="local",


# The resources that a job on a target requests from a cluster.
ON_TARGET = hooks.resources_on_target(resolved)
# The cores of a job that measures speed, so that no other job runs beside it. Snakemake lowers the number to --cores.
WHOLE_MACHINE = max(2, usable_cores())
