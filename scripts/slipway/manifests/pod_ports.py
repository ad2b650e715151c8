"""Triton's ports in its pod, and the time to start it there: what manifests and deployments have in common."""

HTTP, GRPC, METRICS = 8000, 8001, 8002
# The ports that KServe expects a server on.
KSERVE_HTTP, KSERVE_GRPC = 8080, 9000
# Seconds for a node to pull the image, in addition to the server's start.
PULL_S = 900
