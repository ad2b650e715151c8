"""The load test: Model Analyzer on a real server, and the limits that a configuration is chosen under."""
