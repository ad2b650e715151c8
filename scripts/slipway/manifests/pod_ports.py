"""Constants for manifests and deployments: Triton's ports in its pod, and the time to pull the container image."""

from slipway.triton import default_ports

HTTP, GRPC, METRICS = default_ports.HTTP, default_ports.GRPC, default_ports.METRICS
# The ports on which KServe expects the server to listen.
KSERVE_HTTP, KSERVE_GRPC = 8080, 9000
# Seconds for a node to pull the image, in addition to the server's start.
PULL_S = 900
