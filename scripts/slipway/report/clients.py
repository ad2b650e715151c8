"""Commands and code that send a request to a served model."""

from slipway.contract.contract import BATCH, Tensor
from slipway.report.measurements import Measurements
from slipway.triton.repository.versions import served_name

_OWN = """\
import numpy as np, tritonclient.grpc as triton
client = triton.InferenceServerClient("HOST:8001")
{inputs}
answer = client.infer("{model}", inputs)
print({outputs})"""
# {NumPy's name: Triton's name}
_TYPES = {"float32": "FP32", "float64": "FP64", "float16": "FP16", "bool": "BOOL"}


def client_lines(evidence: Measurements) -> str:
    """Return commands and a few lines of Python that ask the served model."""
    served = served_name(evidence.model)
    if evidence.is_classifier and evidence.preprocessing:
        command = f"python scripts/predict.py FILE.jpg --url HOST:8001 --model {served}"
    else:
        command = f"python scripts/infer.py inputs.npz --output outputs.npz --url HOST:8001 --model {served}"
    lines = [line for tensor in evidence.contract.inputs for line in _lines_of(tensor, evidence)]
    outputs = ", ".join(f'answer.as_numpy("{tensor.name}")' for tensor in evidence.contract.outputs)
    own = _OWN.format(inputs="\n".join(["inputs = []", *lines]), model=served, outputs=outputs)
    return f"{command}\n\n# A program of your own; it needs tritonclient[grpc] and NumPy:\n{own}"


def _lines_of(tensor: Tensor, evidence: Measurements) -> list[str]:
    sizes = {BATCH: 1, **evidence.contract.optimum}
    shape = tuple(sizes[size] if isinstance(size, str) else size or 1 for size in tensor.shape)
    taken = f'triton.InferInput("{tensor.name}", array.shape, "{_type(tensor.dtype)}")'
    return [
        f'array = np.zeros({shape}, "{tensor.dtype}")  # your {tensor.name}',
        f"inputs.append({taken}.set_data_from_numpy(array))",
    ]


def _type(dtype: str) -> str:
    return _TYPES.get(dtype, dtype.upper())
