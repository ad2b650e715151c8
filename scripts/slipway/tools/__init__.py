"""Code that programs of scripts/tools share: timed runs of Snakemake, and measurements of a CPU's precisions."""
