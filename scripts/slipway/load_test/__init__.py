"""The load test: Model Analyzer on a real server, and the limits for the choice of a configuration."""
