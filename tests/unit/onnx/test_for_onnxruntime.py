import subprocess
import sys
from collections import Counter

import onnx
import pytest
from helpers.models.tiny_network import OPTIONS, exported, photographs, record_of

from slipway.core.user_modules import SCRIPTS
from slipway.engines.build_strategy import require_precision
from slipway.runtimes import runtime


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return photographs(tmp_path_factory.mktemp("photographs") / "calibration")


@pytest.mark.parametrize(
    ("input_dtype", "method"), [("float32", "entropy"), pytest.param("uint8", "max", marks=pytest.mark.long)]
)
def test_onnx_runtime_fuses_every_layer_with_its_q_and_dq_nodes(tmp_path, images, input_dtype, method):
    base, _ = exported(tmp_path, input_dtype, 17)
    output, engine = tmp_path / "tiny.int8-onnxruntime.onnx", tmp_path / "tiny.ort.onnx"
    files = f"--onnx {base} --onnx-record {base}.json --output {output} --record {output}.json --images {images}"
    samples = f"--samples {tmp_path}/{input_dtype}.samples.npz --samples-record {tmp_path}/{input_dtype}.samples.json"
    options = f"{samples} --variant int8-onnxruntime --method {method}"
    more = ["--min-samples=8", f"--input={input_dtype}", *OPTIONS]
    # A process of its own, as in the workflow: ModelOpt changes ONNX Runtime's quantiser in the other tests' process.
    command = [sys.executable, SCRIPTS / "quantize_onnx.py", *f"{files} {options}".split(), *more]
    subprocess.run(command, check=True)
    record = record_of(output)
    assert (record["quantized"]["compute_nodes"], record["quantized"]["compute_nodes_left"]) == (5, [])
    assert 0 < record["agreement"]["relative_error"] < 0.1
    assert not (tmp_path / f"{output.name}.data").read_bytes()
    built = runtime("onnxruntime")
    built.build(output, engine, "int8", {})
    assert built.Engine(engine, "int8").layers() == {"int8": 5}
    require_precision("int8", built.Engine(engine, "int8").layers())
    kinds = Counter(node.op_type for node in onnx.load(engine).graph.node)
    assert (kinds["QLinearConv"], kinds["QGemm"], kinds["Conv"], kinds["Gemm"]) == (4, 1, 0, 0)
