"""Validate and resolve config.yaml, and compute the key of each job, which decides when the job is stale."""
