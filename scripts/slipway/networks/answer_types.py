"""The output dtypes of networks. The served model always answers in FP32: its graph casts other dtypes."""

from typing import TYPE_CHECKING

from slipway.core.errors import SlipwayError

if TYPE_CHECKING:
    import torch

CAST = ("float64", "float16", "bfloat16")


def require_scores(dtype: "torch.dtype") -> None:
    """Raise SlipwayError unless a network answers in floating-point numbers."""
    if not dtype.is_floating_point:
        name = str(dtype).removeprefix("torch.")
        kind = (
            "complex numbers" if dtype.is_complex else "whole numbers or truth values, such as the class that it chose"
        )
        raise SlipwayError(
            f"the model answers in {name}, which are {kind}, not scores; let `architecture` name a factory whose "
            "network returns its floating-point logits"
        )


def answers_in_float32(model: "torch.nn.Module", example: "torch.Tensor") -> tuple["torch.nn.Module", str]:
    """Return the network with its outputs cast to float32 if necessary, and the name of their original dtype."""
    import torch

    with torch.inference_mode():
        name = str(model(example).dtype).removeprefix("torch.")
    if name not in CAST:
        return model, name

    class Float32Answers(torch.nn.Module):
        """The network, then a cast to float32."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            """Return the logits (N, classes) in float32."""
            return self.model(images).to(torch.float32)

    return Float32Answers().eval(), name
