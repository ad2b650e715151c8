"""Benchmarks and accuracy: the baselines, the timing, the comparison of the measurements."""
