"""Engines: build, refit or reuse them, compare them with the engines they replace, run them in another interpreter."""
