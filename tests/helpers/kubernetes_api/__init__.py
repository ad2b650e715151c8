"""A stand-in of a Kubernetes API server, and what the tests deploy to it."""
