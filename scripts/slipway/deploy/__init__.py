"""Deployments as transactions on Kubernetes, KServe, Arena and Compose."""
