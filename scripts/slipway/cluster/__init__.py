"""A Kubernetes cluster through its API: what it has, what it is sent, and how that went."""
