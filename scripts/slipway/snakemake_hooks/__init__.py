"""Everything that depends on the inside of Snakemake: its records, its locks, its log, its executors."""
