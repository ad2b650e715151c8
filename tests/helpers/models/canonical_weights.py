"""The canonical weights of a network and their record, as fetch_weights.py writes them."""

from slipway.core.artifacts import sha256, write_json
from slipway.models.canonical import write_canonical

PICTURE = {"input": {"dtype": "float32", "shape": [1, 3, 32, 32]}}


def write_weights(folder, network, architecture, inputs=PICTURE, **facts):
    """Write weights.safetensors and weights.json of a network; return both paths. `facts` replace entries."""
    weights, record = folder / "weights.safetensors", folder / "weights.json"
    write_canonical(network, weights)
    about = {
        "origin": "checkpoint",
        "key": {},
        "sha256": sha256(weights),
        "program": None,
        "largest_batch": None,
        "architecture": architecture,
        "arguments": {},
        "inputs": inputs,
        "weights": None,
        "choice": None,
        "notes": [],
    }
    write_json(record, about | facts)
    return weights, record
