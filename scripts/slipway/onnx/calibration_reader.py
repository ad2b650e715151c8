"""Samples in the form in which ONNX Runtime and ModelOpt read calibration data."""

from onnxruntime.quantization.calibrate import CalibrationDataReader

from slipway.contract.contract import Tensors


class SampleReader(CalibrationDataReader):
    """Gives each sample by itself, so that samples may have several sizes, then None."""

    def __init__(self, samples: list[Tensors]) -> None:
        self._samples = samples
        self.rewind()

    def get_next(self) -> Tensors | None:
        """Return the next sample."""
        return next(self._rest, None)

    def get_first(self) -> Tensors:
        """Return the first sample, wherever the reading stands. ModelOpt runs the model on it once."""
        return self._samples[0]

    def rewind(self) -> None:
        """Begin with the first sample again."""
        self._rest = iter(self._samples)
