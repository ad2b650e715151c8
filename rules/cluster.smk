# Where jobs run on a cluster. On one machine none of it limits anything; profiles/ says the rest, by rule.


# These run where Snakemake does, since they take seconds or need the internet.
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


# What a job of a target asks a cluster for.
ON_TARGET = hooks.resources_on_target(resolved)
# A job that measures speed has the machine to itself; Snakemake lowers this to what --cores allows.
WHOLE_MACHINE = usable_cores()
