"""Model Analyzer with a client that sends the server's key for loading models, for which it has no option.

A program of its own, started by its path: python keyed_model_analyzer.py profile -f CONFIGURATION, with the header's
name and value in the environment.
"""

import os
import sys

import tritonclient.grpc as grpc
from tritonclient.grpc import InferenceServerClientPlugin

NAME, VALUE = "SLIPWAY_KEY_NAME", "SLIPWAY_KEY_VALUE"


class _SendsKey(InferenceServerClientPlugin):
    """A plugin of the client that adds the key to each request."""

    def __call__(self, request: object) -> None:
        request.headers[os.environ[NAME]] = os.environ[VALUE]


class _KeyedClient(grpc.InferenceServerClient):
    """Triton's client, which sends the key with each request."""

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        self.register_plugin(_SendsKey())


if __name__ == "__main__":
    grpc.InferenceServerClient = _KeyedClient
    from model_analyzer.entrypoint import main

    sys.exit(main())
