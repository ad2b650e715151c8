import pytest

from slipway.snakemake_hooks.read_only_commands import builds_nothing, is_read_only, options_of

LOOKING = [
    "-n",
    "--dry-run deploy",
    "deploy -nq",
    "--cores 1 status",
    "status --cores=1 --quiet",
    "--lint",
    "--list",
    "--list-target-rules",
    "deploy --dag",
    "--rulegraph",
    "--filegraph",
    "--d3dag",
    "--summary",
    "-D",
    "--list-changes code",
    "--report report.html",
]
WORKING = [
    "",
    "deploy",
    "--cores 1 deploy status",
    "--cores 1 rollback",
    "undeploy",
    "prune",
    "--unlock",
    "--touch",
    "--cleanup-metadata results/m",
    "--delete-all-output",
    "--nonsense",
]


@pytest.mark.parametrize("options", LOOKING)
def test_what_only_looks_may_run_beside_a_workflow(options):
    assert is_read_only(options_of(["/usr/bin/snakemake", *options.split()]))


@pytest.mark.parametrize("options", WORKING)
def test_what_makes_or_removes_something_has_the_folder_to_itself(options):
    assert not is_read_only(options_of(["/usr/bin/snakemake", *options.split()]))


@pytest.mark.parametrize(
    "options",
    [
        *("status", "--cores 1 rollback", "undeploy -n", "--cores 1 status undeploy"),
        *("rollback_m", "undeploy_m undeploy_n", "prune --config prune=yes"),
    ],
)
def test_what_operates_a_deployment_builds_nothing(options):
    assert builds_nothing(options_of(["/usr/bin/snakemake", *options.split()]))


@pytest.mark.parametrize(
    "options",
    ["", "deploy", "deploy_m", "undeploy_m deploy_m", "status deploy", "-n", "results/m/report.html", "--nonsense"],
)
def test_what_may_build_is_checked_for_it(options):
    assert not builds_nothing(options_of(["/usr/bin/snakemake", *options.split()]))


def test_a_program_that_is_no_snakemake_is_not_taken_for_one_that_looks():
    assert not is_read_only(options_of(["pytest", "-n"]))
    assert is_read_only(options_of(["/lib/snakemake/__main__.py", "-n"]))
