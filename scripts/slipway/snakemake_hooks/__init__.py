"""All code that depends on internals of Snakemake, such as its records, locks, log and executors.

An artifact is a file or folder that a job makes. It is stale if the job's key (settings, versions, code) or an input
differs from the last run; Snakemake then runs the job again.
"""
