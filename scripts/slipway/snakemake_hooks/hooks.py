"""The only interface between Slipway's rules and the code that depends on Snakemake's internals."""

import atexit
import difflib
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from snakemake.exceptions import WorkflowError
from snakemake.io import ancient, flag, is_flagged, report
from snakemake.io import expand as expand_paths
from snakemake.logging import logger
from snakemake.settings.types import DeploymentMethod

from slipway.core.cli import prefer_this_interpreter, restrict_umask
from slipway.keys import code_hash
from slipway.keys.config_scalars import require_read_as_written
from slipway.keys.file_hash_cache import FileHashCache
from slipway.keys.job_key import JobKey
from slipway.keys.resolved_config import ResolvedConfig
from slipway.snakemake_hooks import cluster_resources
from slipway.snakemake_hooks.ancient_inputs import compare_settings_behind_ancient_inputs
from slipway.snakemake_hooks.artifact_tracking import ArtifactTracking
from slipway.snakemake_hooks.failed_jobs import FailedJobs
from slipway.snakemake_hooks.layout import SNAKEMAKE
from slipway.snakemake_hooks.planning_speed import plan_faster
from slipway.snakemake_hooks.read_only_commands import builds_nothing, is_read_only, options_of
from slipway.snakemake_hooks.records import incomplete
from slipway.snakemake_hooks.refusals import reduce_refusal, refused_by_snakemake
from slipway.snakemake_hooks.rerun_journal import RerunJournal
from slipway.snakemake_hooks.start_checks import require_folders, require_plain_module, require_records

CONFIG = "config.yaml"


class Hooks:
    """The functions that Slipway's rules call during a run of Snakemake's `workflow`, in the order of their calls.

    `plans`: this process plans the run. Otherwise it runs one job for another Snakemake, for example on a cluster's
    node. `builds`: the run may build artifacts. Otherwise it only operates a deployment.
    """

    def __init__(self, workflow: Any) -> None:
        self._workflow = workflow
        # Set by `track_artifacts`
        self._tracking: ArtifactTracking
        self._failed: FailedJobs
        self.plans = workflow.is_main_process
        self._options = options_of(sys.argv)
        self.builds = not builds_nothing(self._options)
        # Whether another workflow has taken this one as a module.
        self._is_module = not workflow.modifier.is_main_snakefile()
        # The targets that the command names; none if another workflow or a job of this one runs it.
        self.targets = self._options.targets if self.plans and not self._is_module else []
        # The hashes of files when they were last read. This cache only saves time.
        self.file_hashes = FileHashCache(SNAKEMAKE / "slipway" / "file_hashes.json")
        # Whether jobs copy their files from and to storage, because they share no file system.
        self._in_storage = workflow.storage_settings.default_storage_provider is not None

    # Before the configuration is read

    def check_start(self) -> None:
        """Prepare Snakemake and this process before config.yaml is read.

        Raises WorkflowError if the run cannot store records of artifacts, write its folders or read config.yaml.
        """
        restrict_umask()
        prefer_this_interpreter()
        plan_faster(self._is_module)
        if not self.plans:
            return
        logger.addFilter(reduce_refusal)
        if self._is_module:
            require_plain_module(self._workflow.modifier)
        require_records(self._workflow)
        with refused_by_snakemake():
            require_folders("results", "logs", str(SNAKEMAKE))
            for file in self.configfiles():
                require_read_as_written(file)

    @property
    def configuration_is_named(self) -> bool:
        """Return whether the option --configfile names the configuration. Then config.yaml is not read."""
        return bool(self._workflow.overwrite_configfiles)

    def configfiles(self) -> Sequence[str]:
        """Return the paths of the configuration files: the files of the option --configfile, or config.yaml."""
        return self._workflow.overwrite_configfiles or [CONFIG]

    def configuration_option(self) -> str:
        """Return the --configfile option with its files, quoted for a shell; "" if config.yaml is read."""
        return shlex.join(["--configfile", *map(str, self.configfiles())]) if self.configuration_is_named else ""

    def tell(self, sentence: str) -> None:
        """Show a sentence to the user in Snakemake's log."""
        logger.info(sentence)

    # In rules

    def program(self, name: str) -> Any:
        """Return the path of scripts/<name>.py as a rule's input that makes no output stale when the file changes.

        The job's key has the hash of its code instead, so that a new comment makes nothing stale. If jobs copy their
        inputs to storage, the program is not copied, because the jobs' container image has it.
        """
        path = code_hash.program_file(name)
        return ancient(flag(path, "sourcecache_entry", path) if self._in_storage else path)

    def expand(self, files: str | Iterable[str], **wildcards: Any) -> list[str]:
        """Return the paths `files` with the values of `wildcards` filled in, as Snakemake's `expand` does.

        If jobs copy their files from and to storage, this also works for outputs of rules, which `expand` refuses.
        """
        files = [files] if isinstance(files, str) else files
        if self._in_storage:
            files = [f"results/{file.rpartition('results/')[2]}" for file in files]
        return expand_paths(files, **wildcards)

    def ancient(self, files: Any) -> Any:
        """Return `files` as inputs that must exist, but whose changes do not make this rule's outputs stale.

        `files` are paths, or a function of the wildcards. Snakemake's `ancient` on another rule's output would mark the
        output for every rule that reads it, so this function copies paths first.
        """
        return ancient(files if callable(files) else self.expand(files, allow_missing=True))

    def resources_on_target(self, resolved: ResolvedConfig) -> dict:
        """Return {resource: value, or function of the wildcards} that jobs on a target request, as `on_target` does.

        Raises WorkflowError if jobs run in a container image that config.yaml does not name, or whose TensorRT it does
        not declare.
        """
        if self.plans and DeploymentMethod.APPTAINER in self._workflow.deployment_settings.deployment_method:
            with refused_by_snakemake():
                cluster_resources.require_image(resolved.config)
        if not self.plans:
            self._workflow.register_resource("seat", 1)
        return cluster_resources.on_target(resolved)

    def runs_jobs_here(self) -> bool:
        """Say whether jobs run on this machine, and not on a cluster. This is known only after planning."""
        return bool(self._workflow.local_exec)

    def require_targets(self) -> None:
        """Raise WorkflowError with the nearest rule names if a target of the command is neither a rule nor a path."""
        names = {rule.name: not rule.has_wildcards() for rule in self._workflow.rules}
        # Another workflow that uses this one as a module may define its rules later.
        for target in self.targets:
            if "/" in target or target in names or Path(target).exists():
                continue
            nearest = difflib.get_close_matches(target, [name for name, is_target in names.items() if is_target])
            meant = f"; did you mean {' or '.join(nearest)}?" if nearest else ""
            raise WorkflowError(f"there is no target {target}{meant} `snakemake --list-target-rules` shows them all")

    def complete_rules(self, conda: str) -> None:
        """Give each rule that runs a program a log file and a conda environment, unless the rule names its own.

        The log is logs/<model>/<target>/<rule>.<other wildcards>.log; wildcards that the rule does not have are left
        out. `conda` is the path of the environment's file, which Snakemake uses with --sdm conda.
        """
        for rule in filter(_is_own, self._workflow.rules):
            if rule.shellcmd and rule.conda_env is None:
                rule.conda_env = conda
            if rule.shellcmd and not rule.log:
                folders = [f"{{{name}}}" for name in ("model", "target") if name in rule.wildcard_names]
                others = [f"{{{name}}}" for name in sorted(rule.wildcard_names - {"model", "target"})]
                rule.log_modifier = self._workflow.modifier.path_modifier
                rule.set_log("/".join(["logs", *folders, ".".join([rule.name, *others, "log"])]))

    def list_rules(self, models: Iterable[str]) -> list[dict]:
        """Return [{"name", "outputs", "program", "uses"}], one dict for each rule, to generate docs/artifacts.md.

        "outputs" are the paths without temporary ones, and "program" is the name of the program, or "". "uses" are the
        names in the code of the rule's param `settings`, among them the method of JobKeys. Rules for only one of
        `models`, such as deploy_<model>, are left out.
        """
        of_one_model = {f"{rule.name}_{model}" for rule in self._workflow.rules for model in models}
        return [
            {
                "name": rule.name,
                "outputs": [str(output) for output in rule.output if not is_flagged(output, "temp")],
                "program": Path(rule.input.get("program", "")).stem,
                "uses": rule.params.settings.__code__.co_names if "settings" in rule.params.keys() else [],  # noqa: SIM118
            }
            for rule in self._workflow.rules
            if rule.name not in of_one_model
        ]

    # Around the run

    def track_artifacts(self, acting: Sequence[str]) -> None:
        """Take the lock of the folder, find edited artifacts, and let the log say in words why each job runs.

        `acting` are the names of the rules that change more than their outputs, such as a server. In a process that
        runs a single job for another Snakemake, do nothing.
        """
        if not self.plans:
            return
        compare_settings_behind_ancient_inputs()
        read_only = self._workflow.output_settings.dryrun or is_read_only(self._options)
        self._tracking = ArtifactTracking(self._workflow, read_only, self.file_hashes, acting)
        edited = self._tracking.open()
        marked = incomplete() - edited.keys()
        self._failed = FailedJobs(self._workflow)
        logger.addFilter(self._failed)
        logger.addFilter(RerunJournal(self._workflow, self.file_hashes, edited, marked, self._tracking.remember))
        atexit.register(self.file_hashes.save)

    def begin_run(self, config: dict) -> None:
        """Store the state of the artifacts that jobs will replace, so that a failed job loses nothing.

        `config` is config.yaml with the defaults. Raises WorkflowError if Snakemake would store no records, or if jobs
        on other machines would use facts that were detected on this machine.
        """
        require_records(self._workflow)  # only now does Snakemake know --drop-metadata
        if self._workflow.non_local_exec:
            with refused_by_snakemake():
                cluster_resources.require_declared(config)
        self._tracking.begin()

    def join_handlers(self, config: dict) -> None:
        """If another workflow uses Slipway as a module, let it call `begin_run` and `end_run`.

        They are added to its handlers of a run's begin and end. `config` is the argument of `begin_run`.
        """
        if not self._is_module:
            return
        ours = {"_onstart": lambda: self.begin_run(config), "_onsuccess": self.end_run, "_onerror": self.end_run}
        for name, act in ours.items():
            theirs = getattr(self._workflow, name)
            setattr(self._workflow, name, lambda log, act=act, theirs=theirs: (act(), theirs(log)))

    def end_run(self) -> None:
        """Store the stamps (SHA-256) of new artifacts, and restore the artifacts that failed jobs did not replace.

        After this, Snakemake logs the last error message of the run. The errors of all failed jobs are appended to it.
        """
        self._tracking.settle()
        self._failed.run_ended = True


def _is_own(rule: Any) -> bool:
    """Return whether a rule belongs to Slipway, and not to another workflow that uses Slipway as a module."""
    return _is_own_file(str(rule.snakefile))


@cache
def _is_own_file(snakefile: str) -> bool:  # hundreds of rules lie in a few files
    return Path(snakefile).resolve().is_relative_to(code_hash.SCRIPTS.resolve().parent)


def in_report(path: str, category: str) -> Any:
    """Return `path`, an output, with the note that `snakemake --report` shows it in `category`, under a caption.

    The caption is docs/report/<kind>.rst. `path` must be results/<model>/.../[<model>.]<kind>.<suffix>.
    """
    model, *folders, file = path.split("/")[1:]
    kind = "page" if file == "report.html" else file.removeprefix(f"{model}.").split(".")[0]
    target = "{target}" if "{target}" in folders else "all"
    labels = {"model": model, "target": target, "result": kind.replace("_", " ")}
    return report(path, caption=f"../docs/report/{kind}.rst", category=category, labels=labels)


def untracked(value: Any) -> Callable[[Any, Any], Any]:
    """Return a param with `value` that makes no output stale: Snakemake does not compare it with the last run.

    `value` may be a function of the wildcards. Snakemake compares every param, except functions with the argument
    `input`. So the result is such a function.
    """
    return lambda wildcards, input: _of(value, wildcards)


def options(*parts: Any, **values: Any) -> Callable[[Any, Any], JobKey]:
    """Return a param of command-line options that make no output stale: Snakemake does not compare their values.

    Each of `parts` is {option: value}. Each part and each of `values` may be a function of the wildcards. If a value in
    `values` is empty, its option is left out.
    """
    return untracked(
        lambda wildcards: JobKey(
            *(_of(part, wildcards) for part in parts),
            **{name: _of(value, wildcards) or None for name, value in values.items()},
        )
    )


def _of(value: Any, wildcards: Any) -> Any:
    return value(wildcards) if callable(value) else value
