"""A client of a model that is ready, where no server is."""


class ReadyClient:
    """Stands in for `slipway.triton.client.grpc_client.ModelClient`."""

    def __init__(self, *_):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def require_ready(self):
        """Find the model ready."""
