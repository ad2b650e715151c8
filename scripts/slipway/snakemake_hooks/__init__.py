"""All code that depends on Snakemake's internals: its records, locks, log and executors."""
