"""A Kubernetes cluster through its API: its objects, the requests to it, and their failures."""
