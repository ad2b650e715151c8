"""What watches a deployed model: Prometheus rules, a Grafana dashboard, and what a live server says of itself."""
