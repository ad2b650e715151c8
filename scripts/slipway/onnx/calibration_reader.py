"""Samples in the form in which ONNX Runtime and ModelOpt read calibration data."""

from typing import TYPE_CHECKING

from slipway.contract.contract import Tensors

if TYPE_CHECKING:
    from onnxruntime.quantization.calibrate import CalibrationDataReader


def reader_of(samples: list[Tensors]) -> "CalibrationDataReader":
    """Return a reader that gives each sample by itself, so that samples may have several sizes."""
    from onnxruntime.quantization.calibrate import CalibrationDataReader

    class Reader(CalibrationDataReader):
        """Gives samples one after the other, then None."""

        def __init__(self) -> None:
            self.rewind()

        def get_next(self) -> Tensors | None:
            return next(self._rest, None)

        def get_first(self) -> Tensors:
            """Return the first sample, wherever the reading stands. ModelOpt runs the model on it once."""
            return samples[0]

        def rewind(self) -> None:
            """Begin with the first sample again."""
            self._rest = iter(samples)

    return Reader()
