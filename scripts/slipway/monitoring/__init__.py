"""Monitoring of a deployed model: Prometheus rules, a Grafana dashboard, and the traffic of a live server."""
