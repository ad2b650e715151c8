"""All code that depends on internals of Snakemake, such as its records, locks, log and executors."""
