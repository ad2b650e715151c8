"""The load test: measure engines under load with Model Analyzer on a real server, and choose a configuration.

A configuration is a precision, an instance count, a maximum batch size and a batching delay. A point is a configuration
with a number of requests in flight. A row is the measurement of a point, one dictionary of "measurements" in
analysis.json, the record of the load test.
"""
