"""Triton's model repositories: their folders, configurations, versions, publication and signatures."""
