"""Let Snakemake plan many jobs in less time. The plan stays the same."""

import gc
from functools import lru_cache

import snakemake.api  # noqa: F401, the modules below cannot be imported before it
from snakemake import common, jobs, rules

# A plan of 300 engines makes millions of small objects, and nearly all of them stay until its end. With Python's
# default of 700, the collector looks through them again and again.
OBJECTS_BETWEEN_COLLECTIONS = 100_000


def plan_faster() -> None:
    """Cache values that Snakemake computes several times for each job, and collect garbage less often.

    These are the parameters of each input, params and resources function, and the text of the shell command, which
    Snakemake formats three times before it shows it or not.
    """
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    remembered = lru_cache(maxsize=1000)(common.get_function_params)
    for module in (common, jobs, rules):
        module.get_function_params = remembered
    jobs.Job.shellcmd = property(lru_cache(maxsize=1)(jobs.Job.shellcmd.fget))
