"""Records of one page that do not belong together are refused."""

import pytest
from helpers.artifacts import reported

from slipway.core.artifacts import read_json, write_json
from slipway.core.errors import SlipwayError
from slipway.report.measurements import read_measurements


@pytest.mark.parametrize(
    ("name", "part", "said"),
    [
        ("l4/resnet50.int8.accuracy.json", "engine_key", "the accuracy is of another int8 engine"),
        ("l4/resnet50.benchmark.json", "engines", "the benchmark is of another fp16 engine"),
        ("l4/selection.json", "chosen_from", "the choice is from another load test"),
    ],
)
def test_records_that_do_not_belong_together_are_refused(tmp_path, name, part, said):
    folder = reported.write_records(tmp_path)
    record = read_json(folder / name)
    record[part] = {**record[part], "runtime_version": "10", "fp16": {}, "load_test_sha256": "0"}
    write_json(folder / name, record)
    with pytest.raises(SlipwayError, match=said):
        read_measurements(folder, reported.ENGINES, reported.VARIANTS)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("reference_outputs.json", "the answers are of another checkpoint"),
        ("accuracy.json", "the accuracy in PyTorch is of another checkpoint"),
        ("resnet50.fp16.onnx.json", "the fp16 ONNX file is of another checkpoint"),
        ("l4/resnet50.int8.engine.json", "the int8 engine on l4 is of another checkpoint"),
    ],
)
@pytest.mark.parametrize("other", [{"weights_sha256": "28b1" * 16}, {}], ids=["another", "none"])
def test_a_record_of_another_checkpoint_or_of_none_is_refused(tmp_path, name, said, other):
    folder = reported.write_records(tmp_path)
    record = read_json(folder / name)
    del record["weights_sha256"]
    write_json(folder / name, record | other)
    with pytest.raises(SlipwayError, match=said):
        read_measurements(folder, reported.ENGINES, reported.VARIANTS, evaluated=True)
