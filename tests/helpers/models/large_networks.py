"""ONNX files above the limit of one file, which is lowered so that small networks exceed it."""

import contextlib
from unittest import mock

import onnx

from slipway.onnx import external_data


@contextlib.contextmanager
def lowered_limit(limit=50_000):
    """Let an ONNX file have `limit` bytes at most."""
    with mock.patch.object(external_data, "ONNX_LIMIT", limit):
        yield


def with_data_file(path):
    """Move the weights of an ONNX file to its data file, also the small ones."""
    with lowered_limit(0), mock.patch.object(external_data, "SMALLEST", 256):
        external_data.write(onnx.load(path), path)
