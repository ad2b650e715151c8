"""Receipts of live models, as a deployment writes them."""

INDEX = "b" * 64
SERVER = {"pid": 1, "id": "slipway-1", "listening": {"host": "127.0.0.1", "http": None, "grpc": 8001, "metrics": 8002}}


def local_receipt(model="m", number=1, server=SERVER, target="cpu", **more):
    """Return the receipt of a model on the local server; `more` are other entries of it."""
    entry = {
        "version": f"v{INDEX[:12]}",
        "chain": {"weights_sha256": "a" * 64, "engine_files": {}, "repository_index_sha256": INDEX},
        "engine_key": {"runtime": "openvino", "runtime_version": "1", "precision": "fp32", "hardware": "cpu"},
        "smoke_test": {"instances": 1, "max_batch_size": 4, "outputs": {}},
    }
    receipt = {
        "origin": "checkpoint",
        "model": model,
        "to": "local",
        "served_as": f"{model}_trt",
        "number": number,
        "deployed_at": "2026-11-23T03:02:11+00:00",
        "targets": {target: entry},
        "place": {},
        "contents": {"server": server},
    }
    return receipt | more
