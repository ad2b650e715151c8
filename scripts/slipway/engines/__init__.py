"""Engines: build, refit or reuse them, compare them with existing engines, run them in another interpreter."""
