"""The ports on which a Triton server listens by default."""

HTTP, GRPC, METRICS = 8000, 8001, 8002
