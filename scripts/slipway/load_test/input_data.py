"""Samples as perf_analyzer sends them: its JSON file of input data."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path

from slipway.contract.contract import Contract, Tensors
from slipway.contract.served_form import as_served


def write_input_data(path: Path, samples: Sequence[Tensors], contract: Contract) -> None:
    """Write samples of batch size 1; perf_analyzer sends them in turns. `contract` has the dtypes of the engine.

    Values are in base64: perf_analyzer 2.51 reads neither float16 as numbers, nor whole numbers as float32.
    """
    entries = [_entry(as_served(sample, contract), contract.batched) for sample in samples]
    path.write_text(json.dumps({"data": entries}), encoding="utf-8")


def _entry(sample: Tensors, batched: bool) -> dict:
    return {
        name: {
            "content": {"b64": base64.b64encode(array.tobytes()).decode()},
            "shape": list(array.shape[1:] if batched else array.shape),
        }
        for name, array in sample.items()
    }
