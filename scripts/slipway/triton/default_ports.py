"""The ports on which a Triton server listens unless its flags say otherwise."""

HTTP, GRPC, METRICS = 8000, 8001, 8002
