"""Models with samples, and several models in one configuration."""

import numpy as np
import pytest
from helpers.artifacts.configured import WITH_BF16, job_keys, resolved, tensorrt_target

from slipway.core.errors import SlipwayError
from slipway.keys.notices import notices
from slipway.keys.validation import require_users_packages

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

TEXT = {
    "architecture": "own.text:classifier",
    "weights": "text.pth",
    "samples": "own.text:samples",
    "inputs": {
        "input_ids": {"dtype": "int64", "shape": ["batch", "sequence"], "pad": 0},
        "attention_mask": {"shape": ["batch", "sequence"], "pad": 0},
    },
    "axes": {"sequence": {"min": 1, "opt": 64, "max": 128}},
    "outputs": {"scores": "logits", "embedding": "tensor"},
}


@pytest.fixture(autouse=True)
def checkpoint(in_an_empty_folder, tmp_path):
    (tmp_path / "text.pth").touch()


def test_a_model_with_samples_is_taken():
    found = resolved(models={"text": TEXT})
    assert found.batched("text") is True
    assert found.accuracy("text")["labelled"] is None


def test_every_detector_of_torchvision_is_refused_with_the_way_round():
    from torchvision import models

    for name in models.list_models(module=models.detection):
        with pytest.raises(SlipwayError, match=r"each picture has another number of them, .* docs/examples/detection"):
            resolved(models={"m": {"architecture": name}})


ONE = {"input_ids": {"shape": ["batch", 7]}}
PIXELS = {"shape": ["batch", 3, 8, 8], "dtype": "uint8", "normalisation": {"mean": [0.5] * 3, "std": [0.5] * 3}}
MISTAKES = {
    "uint8 pictures": ({"input": "uint8"}, "`models.m.input` is 'uint8', which only a model of photographs has"),
    "a meaning of photographs": ({"output": "logits"}, "`models.m.output` is 'logits', which only .* in `outputs`"),
    "a preprocessing": ({"preprocess": {"crop": 96}}, "`models.m.preprocess.crop` is 96, which only a model of photo"),
    "a sample photograph": ({"image": "text.pth"}, "`models.m.image` is 'text.pth', which only a model of photographs"),
    "labelled photographs": ({"accuracy": {"labelled": "."}}, "`models.m.accuracy.labelled` .*; use|use `metric`"),
    "calibration photographs": ({"calibration": {"images": "."}}, "as `calibration.samples`"),
    "labels of tensors": ({"labels": "text.pth", "outputs": None}, "no output has class scores; say which"),
    "an axis without sizes": ({"axes": {}}, "has the axis sequence, but `axes` has none; add `axes: {sequence:"),
    "sizes of a misspelled axis": (
        {"axes": {"sequences": {"min": 1, "opt": 2, "max": 8}}},
        "has the axis sequence, but `axes` has sequences; add .*, or correct the name",
    ),
    "sizes without an axis": ({"inputs": ONE}, "`models.m.axes` has sequence, which no shape of `inputs` has"),
    "sizes of the batch": (
        {"axes": TEXT["axes"] | {"batch": {"min": 1, "opt": 1, "max": 2}}},
        "batch sizes are those of `tensorrt.profiles`",
    ),
    "sizes in the wrong order": (
        {"axes": {"sequence": {"min": 4, "opt": 2, "max": 8}}},
        "`models.m.axes.sequence` is .* min <= opt <= max",
    ),
    "the batch last": (
        {"inputs": {"input_ids": {"shape": ["sequence", "batch"]}}},
        r"shape` is \['sequence', 'batch'\], but `batch` must be the first axis",
    ),
    "the batch of one input": (
        {"inputs": {"a": {"shape": ["batch", "sequence"]}, "b": {"shape": [3]}}},
        "`models.m.inputs.a.shape` begins with `batch`, but that of b does not",
    ),
    "one name for two tensors": ({"outputs": {"input_ids": "tensor"}}, "input_ids as an input and as an output"),
    "a target that is an input": (
        {"metric": {"function": "own.text:metric", "targets": ["label", "input_ids"]}},
        "`models.m.metric.targets` has input_ids, which is an input in `models.m.inputs`, .*; leave one of them out",
    ),
    "a dtype that Triton has not": (
        {"inputs": {"a": {"dtype": "complex64"}}},
        "'complex64', but must be one of f",
    ),
    "a normalisation of floats": ({"inputs": {"a": PIXELS | {"dtype": "float32"}}, "axes": {}}, "is of uint8 pixels"),
    "a normalisation of other channels": (
        {"inputs": {"a": PIXELS | {"shape": ["batch", 1, 8, 8]}}, "axes": {}},
        "has 3 means and 3 deviations, but must have one for each channel",
    ),
    "half a number as padding": (
        {"inputs": {"a": {"dtype": "int64", "pad": 0.5}}, "axes": {}},
        "pad` is 0.5, but the input is int64|must be whole",
    ),
    "samples that are nowhere": ({"samples": "data.npz"}, "`models.m.samples`: data.npz does not exist; name a .npz"),
    "samples that are no samples": ({"samples": "text.pth"}, "`models.m.samples`: text.pth is no .npz file"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_while_planning(mistake):
    changes, sentence = MISTAKES[mistake]
    with pytest.raises(SlipwayError, match=sentence) as caught:
        resolved(models={"m": TEXT | changes})
    assert "\n" not in str(caught.value)


PACKAGES = {
    "architecture": {"architecture": "no_such.text:classifier"},
    "samples": {"samples": "no_such.data:samples"},
    "calibration.samples": {"calibration": {"samples": "no_such.data:samples"}},
    "metric.function": {"metric": {"function": "no_such.metric:share"}},
}


@pytest.mark.parametrize("key", PACKAGES)
def test_a_package_that_is_not_here_is_told_while_planning(key, tmp_path, monkeypatch):
    (tmp_path / "own").mkdir()
    (tmp_path / "own/text.py").write_text("from somewhere import classifier\n\ndef samples(): ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    require_users_packages(resolved(models={"m": TEXT}))
    missing = resolved(models={"m": TEXT | PACKAGES[key]})
    with pytest.raises(SlipwayError, match=rf"`models.m.{key}` is no_such\..* no package no_such; .* PYTHONPATH=\."):
        require_users_packages(missing)


def test_packages_are_not_looked_for_here_if_jobs_run_in_an_image():
    require_users_packages(resolved(models={"m": TEXT}, container="docker://registry/slipway:1"))


def test_a_network_of_another_task_asks_for_samples():
    with pytest.raises(SlipwayError, match=r"lraspp_.*, which is no classifier of photographs; name .* `samples`"):
        resolved(models={"m": {"architecture": "lraspp_mobilenet_v3_large"}})
    assert resolved(models={"m": TEXT | {"architecture": "lraspp_mobilenet_v3_large"}})


@pytest.mark.parametrize("name", ["inputs", "axes", "outputs"])
def test_tensors_of_a_model_of_photographs_ask_for_its_samples(name):
    with pytest.raises(SlipwayError, match=f"`models.m.{name}` is .*, but the model has no `samples`"):
        resolved(models={"m": {name: TEXT[name]}})


def test_targets_of_a_model_of_photographs_ask_for_its_samples(photographs):
    metric, accuracy = {"function": "own.text:metric", "targets": ["label"]}, {"labelled": str(photographs)}
    with pytest.raises(SlipwayError, match=r"`models.m.metric.targets` is \['label'\], but the model has no `samples`"):
        resolved(models={"m": {"metric": metric, "accuracy": accuracy}})


def test_int8_asks_for_data_of_the_model_that_has_none(photographs):
    target = {"h100": tensorrt_target() | {"precisions": ["int8"]}}
    images = {"images": str(photographs)}
    with pytest.raises(SlipwayError, match=r"needs inputs of text .* as `models.text.calibration.samples`"):
        resolved(target, {"m": {}, "text": TEXT}, calibration=images)
    with pytest.raises(SlipwayError, match=r"needs photographs .* as `models.m.calibration.images`"):
        resolved(target, {"m": {}, "n": {"calibration": images}})
    own = TEXT | {"calibration": {"samples": "own.text:samples"}}
    assert resolved(target, {"m": {}, "text": own}, calibration=images).precisions("h100") == ["int8"]


def test_two_models_have_their_own_photographs_limits_and_calibration(photographs, tmp_path):
    (tmp_path / "own.jpg").write_bytes(b"mine")
    own = {"accuracy": {"max_samples": 7, "limits": {"fp16": {"min_cosine": 0.5}}}, "calibration": {"method": "max"}}
    models = {"a": {"image": "own.jpg", **own, "calibration": {"images": str(photographs)}}, "b": {}}
    found = resolved(models=models)
    assert (found.image("a"), found.image("b")) == ("own.jpg", None)
    assert (found.accuracy("a")["max_samples"], found.accuracy("b")["max_samples"]) == (7, 1000)
    limits = found.accuracy("a")["limits"]["fp16"], found.accuracy("b")["limits"]["fp16"]
    assert limits[0] == limits[1] | {"min_cosine": 0.5}
    assert (found.is_calibrated("a"), found.is_calibrated("b")) == (True, False)
    keys, without = job_keys(models=models), job_keys(models={"a": {}, "b": {}})
    for name, arguments in [("sample_inputs", ()), ("check_accuracy", ("cpu", "fp32")), ("quantize_onnx", ("int8",))]:
        assert repr(getattr(keys, name)("a", *arguments)) != repr(getattr(without, name)("a", *arguments))
        assert repr(getattr(keys, name)("b", *arguments)) == repr(getattr(without, name)("b", *arguments))


def test_samples_enter_a_key_by_the_code_of_their_function_or_the_content_of_their_files(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "text.py").write_text("def samples(): ...\n", encoding="utf-8")
    before = job_keys(models={"m": TEXT}).sample_inputs("m")
    assert (before["function"], before["batched"]) == ("own.text:samples", True)
    assert "own/text.py" in before["code"]
    np.savez(tmp_path / "data.npz", x=np.zeros(1))
    first = job_keys(models={"m": TEXT | {"samples": "data.npz"}}).sample_inputs("m")
    np.savez(tmp_path / "data.npz", x=np.ones(1))
    assert repr(first) != repr(job_keys(models={"m": TEXT | {"samples": "data.npz"}}).sample_inputs("m"))


def test_layers_that_a_precision_leaves_alone_make_only_its_own_file_stale(photographs):
    engines = {"gpu": tensorrt_target() | {"precisions": ["fp16", "bf16", "int8"]}}
    images = {"images": str(photographs)}
    lists = {"fp16": {"keep_in_fp32": ["layer1.0"]}, "int8": {"not_quantized": ["Softmax"]}}
    keys, without = (
        job_keys(engines, {"m": {"precisions": precisions}}, calibration=images) for precisions in (lists, {})
    )
    assert keys.cast_onnx("m", "fp16")["keep_in_fp32"] == ["layer1.0"]
    assert keys.quantize_onnx("m", "int8-fp16")["not_quantized"] == ["Softmax"]
    assert repr(keys.cast_onnx("m", "fp16")) != repr(without.cast_onnx("m", "fp16"))
    assert repr(keys.cast_onnx("m", "bf16")) == repr(without.cast_onnx("m", "bf16"))
    assert repr(keys.quantize_onnx("m", "fp8")) == repr(without.quantize_onnx("m", "fp8"))
    assert repr(keys.export_onnx("m")) == repr(without.export_onnx("m"))


def test_a_precision_takes_only_its_own_kind_of_list():
    with pytest.raises(SlipwayError, match=r"`models\.m\.precisions\.fp16\.not_quantized` is not a key"):
        resolved(models={"m": {"precisions": {"fp16": {"not_quantized": ["x"]}}}})


def test_a_list_that_no_engine_is_built_from_is_told():
    listed = {"m": {"precisions": {"bf16": {"keep_in_fp32": ["layer1.0"]}}}}
    on_cpu = {"runtime": "openvino", "hardware": WITH_BF16, "precisions": ["bf16"]}
    told = list(notices(resolved({"cpu": on_cpu}, listed)))
    assert [line for line in told if "`models.m.precisions.bf16` changes nothing, since no target builds from" in line]
    on_gpu = resolved({"gpu": tensorrt_target() | {"precisions": ["bf16"]}}, listed)
    assert not [line for line in notices(on_gpu) if "changes nothing" in line]
