"""Validate and resolve config.yaml, and compute the key of each job: its settings, versions, hardware and code.

A job is stale if its key differs from the key of its last run. Snakemake then runs the job again.
"""
