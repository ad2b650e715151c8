"""Validate and resolve config.yaml, and compute the key of each job, which decides when the job is stale.

A key has the job's settings, versions, hardware and code. If it differs from the key of the last run, the job is stale,
and Snakemake runs it again.
"""
