"""Quantise an ONNX file for ONNX Runtime on a CPU: Q/DQ nodes before and behind each layer.

ModelOpt places Q/DQ nodes only before a layer, for TensorRT and OpenVINO. ONNX Runtime fuses a layer only if its output
is quantised, too. Activations are unsigned 8-bit integers. Weights are signed 8-bit integers with a scale for each
channel. CPUs have instructions (VNNI, AMX, I8MM) that multiply this pair.

ModelOpt changes ONNX Runtime's quantiser for its own placement, so one process can use only one of the two quantisers.
"""

from pathlib import Path

import onnx
from onnxruntime.quantization import CalibrationMethod, QuantType, calibrate
from onnxruntime.quantization.calibrate import CalibraterBase, TensorsData, create_calibrator
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import load_model_with_shape_infer
from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

from slipway.contract.contract import Tensors
from slipway.core.errors import SlipwayError
from slipway.onnx import external_data
from slipway.onnx.quantized import SampleReader

# The number of samples for which the values of all tensors are in memory at once.
SAMPLES_IN_MEMORY = 8
# {method: (ONNX Runtime's method, its options)}. With the default of 128 bins, entropy has no threshold to choose.
_METHODS = {"entropy": (CalibrationMethod.Entropy, {"num_bins": 512}), "max": (CalibrationMethod.MinMax, {})}
_OPERATORS = sorted({*QLinearOpsRegistry, *QDQRegistry})


def quantized_for_onnxruntime(
    source: Path, samples: list[Tensors], method: str, not_quantized: list[str], target: Path
) -> onnx.ModelProto:
    """Return the model of the ONNX file `source` with Q/DQ nodes, except at the nodes named in `not_quantized`.

    The scales come from the model's values on `samples`, by `method` ("entropy" or "max"). The model is also written to
    `target`. If weights of `source` are external data, the weights of `target` are, too.
    """
    quantizer = QDQQuantizer(
        load_model_with_shape_infer(source),
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=_ranges(source, samples, method),
        nodes_to_quantize=[],
        nodes_to_exclude=not_quantized,
        op_types_to_quantize=_OPERATORS,
        extra_options={},
    )
    quantizer.quantize_model()
    quantizer.model.save_model_to_file(target, external_data.has_data(external_data.read(source)))
    return external_data.read(target)


def _ranges(source: Path, samples: list[Tensors], method: str) -> TensorsData:
    """Return the range of values of each tensor of the model at `source` on the samples, by a method of _METHODS.

    Raises SlipwayError if ModelOpt has changed ONNX Runtime's quantiser in this process.
    """
    if CalibraterBase.select_tensors_to_calibrate.__module__ != calibrate.__name__:
        raise SlipwayError(
            "ModelOpt changed ONNX Runtime's quantiser in this process; quantise for ONNX Runtime in another process"
        )
    kind, options = _METHODS[method]
    calibrator = create_calibrator(
        source,
        _OPERATORS,
        augmented_model_path=str(source.with_name("calibrated.onnx")),
        calibrate_method=kind,
        use_external_data_format=external_data.has_data(external_data.read(source)),
        extra_options=options,
    )
    for start in range(0, len(samples), SAMPLES_IN_MEMORY):
        calibrator.collect_data(SampleReader(samples[start : start + SAMPLES_IN_MEMORY]))
    return calibrator.compute_data()
