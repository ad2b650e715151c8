"""Deployment manifests: what was measured and declared, as files for Kubernetes, KServe, Arena and Compose."""
