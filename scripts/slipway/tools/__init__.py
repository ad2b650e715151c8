"""Code that the programs in scripts/tools share: timed runs of Snakemake, and measurements of a CPU's precisions."""
