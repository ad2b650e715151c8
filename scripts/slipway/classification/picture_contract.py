"""The contract of a model that takes one picture and gives one row of values."""

from slipway.contract.contract import BATCH, Contract, Tensor
from slipway.onnx.tensor_names import INPUT, OUTPUT
from slipway.outputs.meaning import Meaning


def picture_contract(dtype: str, meaning: Meaning | None = None) -> Contract:
    """Return the contract for pictures (N, 3, H, W) of a dtype, and outputs (N, values) of a meaning."""
    pictures = Tensor(INPUT, str(dtype), (BATCH, "channels", "height", "width"))
    return Contract((pictures,), (Tensor(OUTPUT, "float32", (BATCH, "values"), meaning=meaning),))
