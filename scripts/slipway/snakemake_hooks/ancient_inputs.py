"""Let Snakemake compare the settings of each job with the last run, also of jobs behind `ancient` inputs.

An input that is marked `ancient` must exist, but its changes do not make the job run. If a job runs, Snakemake skips
the comparison for all later jobs, because it expects that they run, too. But a job behind an `ancient` input does not
run. Without this module, only the next run would notice its changed settings.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

# snakemake.dag cannot be imported before snakemake.api.
import snakemake.api  # noqa: F401
from snakemake.dag import DAG

_update_needrun = DAG.update_needrun


def compare_settings_behind_ancient_inputs() -> None:
    """Let Snakemake, in this process, compare the settings of jobs behind `ancient` inputs with the last run, too.

    The changes of an `ancient` input do not make a job run. The module's docstring has the reason.
    """
    DAG.update_needrun = _update


async def _update(dag: DAG, *arguments: Any, **options: Any) -> None:
    dag.bfs = partial(_jobs_that_follow, dag)
    try:
        await _update_needrun(dag, *arguments, **options)
    finally:
        del dag.bfs


def _jobs_that_follow(_: DAG, depending: Mapping, *jobs: Any) -> Iterator[Any]:
    """Yield `jobs` and, recursively, the jobs that run because of them. Jobs behind `ancient` inputs are left out.

    `depending` is Snakemake's {job: {later job: files that it reads from the first job}}.
    """
    visited, queue = set(jobs), deque(jobs)
    while queue:
        job = queue.popleft()
        yield job
        for following, files in depending[job].items():
            if following not in visited and not all(file.is_ancient for file in files):
                visited.add(following)
                queue.append(following)
