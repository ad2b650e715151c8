"""The load test: measure engines under load with Model Analyzer on a real server, and choose a configuration."""
