"""Code that programs of scripts/tools share: runs of Snakemake, and measurements of a CPU's precisions."""
