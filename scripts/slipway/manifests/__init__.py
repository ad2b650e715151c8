"""Deployment manifests: files for Kubernetes, KServe, Arena and Compose, from measurements and from config.yaml."""
