"""The inputs of a model (normalised float32, or uint8 pixels that it normalises itself), and its answers in PyTorch."""

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from slipway.classification.images import Preprocessing, load_image
from slipway.core.errors import SlipwayError
from slipway.networks.forward_failures import why_it_fails

if TYPE_CHECKING:
    import torch

# {input format, by NumPy's name: its data type in the inference protocol}
TRITON_TYPES = {"float32": "FP32", "uint8": "UINT8"}
INPUT_DTYPES = tuple(TRITON_TYPES)


def random_batch(input_dtype: str, batch: int, crop: int, seed: int = 0) -> np.ndarray:
    """Return random inputs (batch, 3, crop, crop): standard normal float32, or uint8 uniform over 0..255."""
    require_input_dtype(input_dtype)
    shape = (batch, 3, crop, crop)
    random = np.random.default_rng(seed)
    if input_dtype == "uint8":
        return random.integers(0, 256, shape, dtype=np.uint8)
    return random.standard_normal(shape, dtype=np.float32)


def photograph(path: str | Path, preprocess: Preprocessing, input_dtype: str) -> np.ndarray:
    """Return one photograph (3, crop, crop): normalised float32, or its uint8 pixels."""
    require_input_dtype(input_dtype)
    image = load_image(path)
    return preprocess.pixels(image) if input_dtype == "uint8" else preprocess(image)


def photograph_batch(paths: Sequence[str | Path], preprocess: Preprocessing, input_dtype: str) -> np.ndarray:
    """Return photographs as one batch (N, 3, crop, crop) of `input_dtype`. SlipwayError names a broken file."""
    return np.stack([photograph(path, preprocess, input_dtype) for path in paths])


def served_model(model: "torch.nn.Module", preprocess: Preprocessing | None, input_dtype: str) -> "torch.nn.Module":
    """Return the model for the served input format: the model itself, or for uint8 the model behind a normalisation.

    `preprocess` has the mean and standard deviation; it may be None for float32.
    """
    require_input_dtype(input_dtype)
    if input_dtype == "float32":
        return model
    import torch

    class Normalised(torch.nn.Module):
        """(x / 255 - mean) / std of uint8 pixels (N, 3, H, W), then the model."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model
            for name in ("mean", "std"):
                values = torch.tensor(getattr(preprocess, name), dtype=torch.float32)
                self.register_buffer(name, values.reshape(1, 3, 1, 1))

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            """Return the logits (N, classes)."""
            return self.model((pixels.float() / 255.0 - self.mean) / self.std)

    return Normalised().eval()


def logits_of(model: "torch.nn.Module", images: np.ndarray) -> np.ndarray:
    """Return PyTorch's float32 logits (N, classes) for images (N, 3, H, W), computed on the CPU.

    Raises SlipwayError if the model fails on the images, or if its output is no tensor (N, classes) of finite
    floating-point numbers.
    """
    import torch

    def run(inputs: dict[str, np.ndarray]) -> object:
        with torch.inference_mode():
            return model(torch.from_numpy(inputs["input"]))

    try:
        logits = run({"input": images})
    except Exception as error:  # the user's model can raise any exception
        traceback.print_exc()
        raise SlipwayError(why_it_fails(model, {"input": images}, error, run)) from None
    is_tensor = isinstance(logits, torch.Tensor)
    if not is_tensor or logits.ndim != 2:
        answer = f"a tensor of shape {tuple(logits.shape)}" if is_tensor else type(logits).__name__
        raise SlipwayError(
            f"the model answers with {answer}, not with one tensor of logits (N, classes); let `architecture` name a "
            "factory that wraps it in a module which returns them alone"
        )
    if not logits.dtype.is_floating_point:
        kind = "whole numbers or truth values, such as the class that it chose"
        raise SlipwayError(
            f"the model answers in {str(logits.dtype).removeprefix('torch.')}, which are "
            f"{'complex numbers' if logits.dtype.is_complex else kind}, not scores; let `architecture` name a factory "
            "whose network returns its floating-point logits"
        )
    if len(logits) != len(images):
        raise SlipwayError(
            f"the model answers a batch of {len(images)} pictures with {len(logits)} rows of logits, not with one for "
            "each; let it keep the batch axis, the first one, as it is"
        )
    if not torch.isfinite(logits).all():
        raise SlipwayError(
            "the model answers with NaN or infinities in PyTorch already: its checkpoint is of a training that "
            "diverged, or damaged; take an earlier one"
        )
    return logits.float().numpy()


def require_input_dtype(input_dtype: str) -> None:
    """Raise SlipwayError unless `input_dtype` is a supported input format."""
    if input_dtype not in TRITON_TYPES:
        raise SlipwayError(f"input format {input_dtype!r} is unknown; `input` is one of {', '.join(TRITON_TYPES)}")
