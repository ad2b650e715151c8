"""Benchmarks and accuracy: baselines, timing, and the comparison of measurements."""
