"""Let Snakemake plan many jobs in less time. The plan stays the same."""

import atexit
import gc
from functools import lru_cache

import snakemake.api  # noqa: F401, the modules below cannot be imported before it
from snakemake import common, rules
from snakemake.jobs import Job
from snakemake.output_index import OutputIndex
from snakemake.persistence import PersistenceBase

# A plan of 300 engines makes millions of small objects, and nearly all of them stay until its end. With Python's
# default threshold of 700, the garbage collector inspects all of them many times.
OBJECTS_BETWEEN_COLLECTIONS = 500_000


def plan_faster(is_module: bool) -> None:
    """Make Snakemake's planning faster: collect garbage less often, do repeated work once, and do not import pandas.

    Without this, Snakemake formats each shell command three times. For each job it inspects the parameters of the same
    functions, and for each input file it searches for the rules that make the file. If pandas is installed, Snakemake
    imports pandas only to recognise its tables among the params. When the process ends, Python searches all objects
    for garbage, which takes a quarter of the time of a small plan. This is unnecessary: the system frees the memory.

    `is_module`: another workflow uses Slipway as a module. Then three changes are not made. Functions of that workflow
    are possibly not hashable, so their parameters are inspected each time. Its params may have pandas' tables. Its
    libraries may warn of objects that are not freed, so the search at the end stays.
    """
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    Job.shellcmd = property(lru_cache(maxsize=1)(Job.shellcmd.fget))
    OutputIndex.match_producers = lru_cache(maxsize=None)(OutputIndex.match_producers)
    if not is_module:
        common.get_function_params = rules.get_function_params = lru_cache(maxsize=1000)(common.get_function_params)
        PersistenceBase._serialize_param = PersistenceBase._serialize_param_builtin
        gc.freeze()  # the modules that are loaded by now stay until the end, so they are not inspected again
        atexit.register(gc.freeze)
