"""Engines: build, refit or reuse an engine, compare it with the existing engine, run it in another interpreter."""
