"""A small workflow that runs for real and writes down what it sees of Snakemake's inside."""

import json
import subprocess
import sys

from helpers.workplace import REPOSITORY

# Attributes by the object that has them.
ATTRIBUTES = {
    "workflow": [
        "_onerror",
        "_onstart",
        "_onsuccess",
        "basedir",
        "dag",
        "deployment_settings.deployment_method",
        "execution_settings.keep_metadata",
        "is_main_process",
        "local_exec",
        "modifier.is_main_snakefile",
        "modifier.modify_path",
        "modifier.modify_rulename",
        "modifier.path_modifier",
        "non_local_exec",
        "output_settings.dryrun",
        "overwrite_configfiles",
        "persistence.input_checksums",
        "register_resource",
        "rules",
        "storage_settings.default_storage_provider",
        "workflow_settings.persistence_backend.name",
    ],
    "rule": [
        "conda_env",
        "has_wildcards",
        "input.get",
        "log",
        "log_modifier",
        "name",
        "output",
        "params.keys",
        "set_log",
        "shellcmd",
        "snakefile",
        "wildcard_names",
    ],
    "dag": ["jobs", "finished_jobs", "needrun_jobs", "needrun", "dependencies", "reason", "bfs", "update_needrun"],
    "job": ["jobid", "output", "resources.get", "rule.name"],
    "reason": [
        "code_changed",
        "forced",
        "input_changed",
        "missing_output",
        "params_changed.only_new",
        "params_changed.only_old",
        "updated_input",
        "updated_input_run",
    ],
}
# The attributes of the log's records, by their event.
EVENTS = {
    "JOB_INFO": ["jobid", "reason"],
    "JOB_FINISHED": ["job_id"],
    "JOB_ERROR": ["jobid", "rule_name", "indent", "log"],
    "GROUP_ERROR": ["job_error_info", "aux_logs"],
    "ERROR": ["msg"],
}
SNAKEFILE = """
import atexit, json, logging
from operator import attrgetter
from pathlib import Path
from snakemake.jobs import GroupJob
from snakemake.logging import logger

ATTRIBUTES = json.loads(Path("attributes.json").read_text())
seen = {"attributes": {}, "events": {}, "reasons": {}}


def observe(**parts):
    for kind, part in parts.items():
        for name in ATTRIBUTES[kind]:
            try:
                attrgetter(name)(part)
                seen["attributes"][f"{kind}.{name}"] = True
            except AttributeError:
                pass


class Recorder(logging.Filter):
    def filter(self, record):
        event = getattr(record, "event", None)
        if event is not None:
            seen["events"].setdefault(event.name, []).extend(vars(record))
            seen["last"] = [event.name, bool(seen.get("finished"))]
        if getattr(event, "name", None) == "JOB_INFO":
            job = next(job for job in workflow.dag.jobs if job.jobid == record.jobid)
            reason = workflow.dag.reason(job)
            observe(workflow=workflow, dag=workflow.dag, rule=job.rule, job=job, reason=reason)
            changes = reason.params_changed
            seen["reasons"][job.rule.name] = {
                "missing_output": sorted(map(str, reason.missing_output)),
                "updated_input": sorted(map(str, reason.updated_input)),
                "updated_input_run": sorted(map(str, reason.updated_input_run)),
                "params": [sorted(changes.only_old), sorted(changes.only_new)] if changes else [],
                "code_changed": bool(reason.code_changed),
                "forced": bool(reason.forced),
                "dependencies": sorted(maker.rule.name for maker in workflow.dag.dependencies[job]),
                "checksums": [sorted(map(str, workflow.persistence.input_checksums(job, file))) for file in job.input],
            }
        return True


def note(error):
    seen["finished"] = sorted(job.rule.name for job in workflow.dag.finished_jobs)
    if error:
        GroupJob("group", frozenset(workflow.dag.jobs), workflow.global_resources).log_error()


logger.addFilter(Recorder())
atexit.register(lambda: Path("seen.json").write_text(json.dumps(seen)))
onstart: seen["needrun"] = sorted(job.rule.name for job in workflow.dag.needrun_jobs())
onsuccess: note(False)
onerror: note(True)

rule first:
    output: update("results/first.txt")
    params: settings=config["text"], path=lambda wildcards, input: config["path"]
    # The job may begin before Snakemake marks its output.
    shell:
        "timeout 60 sh -c 'until ls .snakemake/incomplete/* > during.txt; do sleep 0.1; done'; "
        "find .snakemake | sort > during.txt; echo {params.settings} > {output}"
rule folder:
    output: update(directory("results/folder"))
    shell: "mkdir -p {output}; test " + config["fails"] + " = no"
rule second:
    input: "results/first.txt"
    output: update("results/second.txt")
    shell: "cat {input} > {output}"
"""


class Observed:
    """A folder where the small workflow runs, and what each run wrote down."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "Snakefile").write_text(SNAKEFILE)
        (folder / "attributes.json").write_text(json.dumps(ATTRIBUTES))

    def run(self, *options, text="good", path="here", fails="no"):
        """Run the workflow, and return what it saw, with what lay in .snakemake/ while rule first ran."""
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "--cores",
            "1",
            "--keep-going",
            "results/second.txt",
            "results/folder",
        ]
        config = ["--config", f"text={text}", f"path={path}", f"fails={fails}"]
        profile = ["--profile", REPOSITORY / "profiles" / "default"]
        done = subprocess.run([*command, *profile, *config, *options], cwd=self.folder, capture_output=True, text=True)
        seen = json.loads((self.folder / "seen.json").read_text())
        during = (self.folder / "during.txt").read_text().split()
        return {**seen, "code": done.returncode, "said": done.stderr, "during": during}
