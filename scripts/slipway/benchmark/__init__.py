"""Benchmarks and accuracy: baselines, timing, and the comparison of measurements.

A baseline is the model without an engine, in PyTorch or ONNX Runtime. A subject is a baseline or an engine; an engine's
name is its precision.
"""
