"""The common part of the programs in scripts/tools: runs of Snakemake."""
