"""Deployments as transactions on this machine, Kubernetes, KServe, Arena and Compose."""
