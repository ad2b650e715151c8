"""Triton: finding and starting a server, describing a model to it, asking it, reading its metrics."""
