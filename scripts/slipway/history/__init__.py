"""The history of a model: its measured runs and its deployments, one per line of results/<model>/history.jsonl.

A run is one measurement of a model: benchmark, load test and accuracy on all its targets. A target is a kind of GPU or
CPU that config.yaml names.
"""
