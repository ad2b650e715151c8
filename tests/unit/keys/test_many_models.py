"""Models and targets come and go in the configuration, and no key of another model or target changes."""

import pytest
from helpers.artifacts.configured import WITHOUT_BF16, job_keys, tensorrt_target

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

# TensorRT decides by the model's own calibration data whether there is an int8 engine.
TARGETS = {"h100": tensorrt_target() | {"precisions": "auto"}}
OTHER_TARGETS = {"cpu": {"hardware": WITHOUT_BF16, "runtime": "openvino"}, "ort": {"runtime": "onnxruntime"}}
OF_MODEL = "sample_inputs fetch_weights make_contract reference_outputs profile_model export_onnx"
OF_MODEL += " evaluate_checkpoint"
OF_VARIANT = "quantize_onnx cast_onnx diagnose_precision"
OF_TARGET, OF_ENGINE = "benchmark load_test write_repository", "check_accuracy gates"
OF_TARGET_ALONE = "measure_capacity choose_configuration"
OF_ALL = "preflight_onnx render_load_test write_monitoring"


def keys_of(model, targets, models):
    """Return {job: key} of a model's jobs on the target h100, with the engines and ONNX variants that it has there."""
    keys = job_keys(targets, models)
    engines = keys.resolved.precisions("h100", model)
    found = {name: getattr(keys, name)(model) for name in OF_MODEL.split()}
    found |= {name: getattr(keys, name)(model, "fp16") for name in OF_VARIANT.split()}
    found |= {name: getattr(keys, name)(model, "h100") for name in OF_TARGET.split()}
    found |= {name: getattr(keys, name)("h100") for name in OF_TARGET_ALONE.split()}
    found |= {(name, each): getattr(keys, name)(model, "h100", each) for name in OF_ENGINE.split() for each in engines}
    found |= {("build_engine", each): keys.build_engine("h100", each) for each in engines}
    found |= {name: getattr(keys, name)() for name in OF_ALL.split()}
    found["variants"] = keys.resolved.variants_of(model, ["h100"])
    return {name: repr(key) for name, key in found.items()}


@pytest.fixture
def models(photographs):
    calibrated = {"calibration": {"images": str(photographs)}}
    return {"a": calibrated, "b": {}, "c": calibrated}


def test_no_key_of_a_model_depends_on_the_other_models_or_targets(models):
    alone = {model: keys_of(model, TARGETS, {model: settings}) for model, settings in models.items()}
    assert ("build_engine", "int8") in alone["a"]
    assert ("build_engine", "int8") not in alone["b"]
    for targets in (TARGETS, TARGETS | OTHER_TARGETS):
        assert {model: keys_of(model, targets, models) for model in models} == alone


def test_the_report_of_a_model_shows_the_engines_that_this_model_has(models):
    reports = {model: job_keys(TARGETS, models).write_report(model) for model in models}
    assert reports["a"]["engines"] == ["h100/fp32", "h100/fp16", "h100/int8"]
    assert reports["b"]["engines"] == ["h100/fp32", "h100/fp16"]
    assert reports["b"]["variants"] == ["fp32", "fp16"]
