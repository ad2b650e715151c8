"""Let Snakemake plan many jobs in less time. The plan stays the same."""

import gc
from functools import lru_cache

import snakemake.api  # noqa: F401, the modules below cannot be imported before it
from snakemake.jobs import Job
from snakemake.persistence import PersistenceBase

# A plan of 300 engines makes millions of small objects, and nearly all of them stay until its end. With Python's
# default of 700, the collector looks through them again and again.
OBJECTS_BETWEEN_COLLECTIONS = 100_000


def plan_faster(may_have_tables: bool) -> None:
    """Collect garbage less often, format each shell command once instead of three times, and import no pandas.

    If pandas is installed, Snakemake imports it to recognise pandas' tables among the params. Slipway's params have no
    tables. `may_have_tables`: another workflow takes Slipway as a module, and its params may have some.
    """
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    Job.shellcmd = property(lru_cache(maxsize=1)(Job.shellcmd.fget))
    if not may_have_tables:
        PersistenceBase._serialize_param = PersistenceBase._serialize_param_builtin
