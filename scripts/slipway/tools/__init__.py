"""Code that programs of scripts/tools share: runs of Snakemake, documents, and measurements of a CPU's precisions."""
