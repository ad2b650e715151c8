"""Deployment manifests: measured and declared values as files for Kubernetes, KServe, Arena and Compose."""
