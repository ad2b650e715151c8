"""Refitting over stand-ins for the library and the device; tests/gpu refits with TensorRT itself."""

import json
import sys

import numpy as np
import onnx
import pytest
from helpers.gpu_stand_in import CROP, newer_tensorrt, write_engine
from helpers.gpu_stand_in.asking import logits
from helpers.gpu_stand_in.networks import BUILD_OPTIONS, write_network
from helpers.models.tiny_network import exported
from onnx import numpy_helper

from slipway.runtimes.tensorrt import build, builder, refit, refitting, trial
from slipway.runtimes.tensorrt.library import import_library, logger
from slipway.runtimes.tensorrt.runner import Engine

OPTIONS = BUILD_OPTIONS | {"refit": True}
TWO_PROFILES = [{"min": 1, "opt": 1, "max": 1}, {"min": 1, "opt": 4, "max": 8}]


@pytest.fixture
def gpu(with_bindings):
    return with_bindings("cuda-bindings")


@pytest.fixture(params=["8.5", "10.14"])
def either(gpu, monkeypatch, request):
    if request.param == "10.14":
        monkeypatch.setitem(sys.modules, "tensorrt", newer_tensorrt(gpu))
    return gpu


@pytest.fixture
def files(tmp_path):
    """Return the ONNX files of two trainings, an engine's place and another's, and what the second training answers."""
    write_network(tmp_path / "old.onnx", 1)
    answer = write_network(tmp_path / "new.onnx", 2)
    return tmp_path / "old.onnx", tmp_path / "new.onnx", tmp_path / "old.trt", tmp_path / "new.trt", answer


def pictures(count=3):
    return np.random.default_rng(0).standard_normal((count, 3, CROP, CROP), dtype=np.float32)


def test_the_new_engine_answers_with_the_new_weights_and_the_old_one_stays(either, files):
    old_onnx, new_onnx, old, new, answer = files
    build(old_onnx, old, "fp16", OPTIONS)
    before = old.read_bytes()
    found = refit(new_onnx, old, new)
    assert old.read_bytes() == before
    np.testing.assert_allclose(logits(Engine(new, "fp16"), pictures()), answer(pictures()), rtol=1e-4, atol=1e-4)
    assert found["layers"] == {"fp16": 1}
    assert found["refitted_weights"] == 3
    assert found["not_refittable_reason"] is None
    assert found["timing_cache"] is None


def test_only_the_edition_for_rtx_builds_without_a_gpu(gpu, files, monkeypatch):
    monkeypatch.setattr(sys.modules["tensorrt"], "ComputeCapability", object(), raising=False)
    assert build(files[0], files[2], "fp16", OPTIONS)["layers_read_from"] == "the engine"


def test_a_refitted_engine_is_refitted_again(either, files):
    old_onnx, new_onnx, old, new, answer = files
    build(old_onnx, old, "fp16", OPTIONS)
    refit(old_onnx, old, new)
    refit(new_onnx, new, old)
    np.testing.assert_allclose(logits(Engine(old, "fp16"), pictures()), answer(pictures()), rtol=1e-4, atol=1e-4)


def test_an_engine_that_was_not_built_for_it_is_refused(gpu, files):
    old_onnx, new_onnx, old, new, _ = files
    found = build(old_onnx, old, "fp16", OPTIONS | {"refit": False})
    assert found["not_refittable_reason"] == "it was built without `tensorrt.refit`"
    assert "REFIT" not in found["builder"]["flags"]
    with pytest.raises(ValueError, match="takes no new weights: it was built without"):
        refit(new_onnx, old, new)
    assert not new.exists()


def test_tensorrt_8_5_has_no_refitter_for_several_profiles(gpu, files):
    old_onnx, new_onnx, old, new, _ = files
    found = build(old_onnx, old, "fp16", OPTIONS | {"profiles": TWO_PROFILES})
    assert "REFIT" in found["builder"]["flags"]
    assert "8.5 refits engines of one" in found["not_refittable_reason"]
    with pytest.raises(ValueError, match=r"has no refitter for it .*duplicate layer names"):
        refit(new_onnx, old, new)


def test_a_later_one_has(gpu, files, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", newer_tensorrt(gpu))
    old_onnx, new_onnx, old, new, answer = files
    build(old_onnx, old, "fp16", OPTIONS | {"profiles": TWO_PROFILES})
    refit(new_onnx, old, new)
    np.testing.assert_allclose(logits(Engine(new, "fp16"), pictures()), answer(pictures()), rtol=1e-4, atol=1e-4)


def test_weights_of_another_shape_are_refused(either, files):
    old_onnx, new_onnx, old, new, _ = files
    build(old_onnx, old, "fp16", OPTIONS)
    write_network(new_onnx, 2, classes=7)
    with pytest.raises(ValueError, match=r"did not take the|cannot take the weights"):
        refit(new_onnx, old, new)
    assert not new.exists()


def rename_node(path, number, name):
    model = onnx.load(path)
    model.graph.node[number].name = name
    onnx.save(model, path)


def test_a_layer_that_is_not_there_is_named(gpu, files):
    old_onnx, new_onnx, old, new, _ = files
    build(old_onnx, old, "fp16", OPTIONS)
    rename_node(new_onnx, 0, "another")
    with pytest.raises(ValueError, match="weights of the layer 'conv', but the ONNX file has no layer of that name"):
        refit(new_onnx, old, new)


def test_two_layers_of_one_name_are_refused(gpu, files):
    old_onnx, new_onnx, old, new, _ = files
    build(old_onnx, old, "fp16", OPTIONS)
    rename_node(new_onnx, 2, "conv")
    with pytest.raises(ValueError, match="several layers of that name"):
        refit(new_onnx, old, new)


def test_weights_that_are_missing_are_named(gpu, files, monkeypatch):
    old_onnx, new_onnx, old, new, _ = files
    build(old_onnx, old, "fp16", OPTIONS)
    trt = sys.modules["tensorrt"]
    monkeypatch.setattr(trt.IConvolutionLayer, "bias", property(lambda self: np.empty(0, np.float32)))
    with pytest.raises(ValueError, match="needs weights that the ONNX file does not give it: BIAS of 'conv'"):
        refit(new_onnx, old, new)


def test_what_the_librarys_binding_refuses_is_told(gpu, files, monkeypatch):
    old_onnx, new_onnx, old, new, _ = files
    build(old_onnx, old, "fp16", OPTIONS)

    def refuse(*_):
        raise TypeError("set_weights(): incompatible function arguments")

    monkeypatch.setattr(sys.modules["tensorrt"].Refitter, "set_weights", refuse)
    with pytest.raises(ValueError, match=r"TensorRT 8\.5\.3\.1 cannot refit .*incompatible function arguments"):
        refit(new_onnx, old, new)


def test_a_damaged_engine_is_told(gpu, files):
    _, new_onnx, old, new, _ = files
    old.write_bytes(b"ftrt")
    with pytest.raises(ValueError, match="truncated, or built by another version"):
        refit(new_onnx, old, new)


def test_a_release_without_refit_is_told(gpu, files, monkeypatch):
    import enum

    monkeypatch.setattr(sys.modules["tensorrt"], "BuilderFlag", enum.Enum("BuilderFlag", ["FP16", "INT8", "TF32"]))
    with pytest.raises(ValueError, match=r"8\.5\.3\.1 cannot build engines that take new weights; set `tensorrt.refit"):
        build(files[0], files[2], "fp16", OPTIONS)


def test_both_engines_run_in_turn(gpu, tmp_path, monkeypatch):
    monkeypatch.setattr("slipway.runtimes.tensorrt.measuring.TURN_SECONDS", 0.01)
    slow, fast = (
        write_engine(tmp_path / f"{ms}.trt", milliseconds=ms, profiles=TWO_PROFILES, refittable=True) for ms in (4, 1)
    )
    found = trial(slow, fast, [{"input": pictures()}, {"input": pictures(1)}])
    assert [each["batch"] for each in found["speed"]] == [1, 4]
    for each in found["speed"]:
        assert each["graph"]
        assert each["previous_ms"] > 4 > each["new_ms"] > 1
        assert each["ratio"] == pytest.approx(each["new_ms"] / each["previous_ms"], rel=1e-3)
    assert [outputs["logits"].shape for outputs in found["outputs"]] == [(3, 5), (1, 5)]
    assert not gpu.pinned, "a buffer was left behind"
    assert trial(slow, fast, None)["outputs"] is None


def test_without_graphs_they_run_as_they_are(gpu, tmp_path, monkeypatch):
    monkeypatch.setattr("slipway.runtimes.tensorrt.measuring.TURN_SECONDS", 0.001)
    plain = write_engine(tmp_path / "plain.trt", profiles=[{"min": 2, "opt": 4, "max": 8}])
    waits = write_engine(tmp_path / "waits.trt", vice="waits", profiles=[{"min": 2, "opt": 4, "max": 8}])
    (found,) = trial(plain, waits, None)["speed"]
    assert (found["batch"], found["graph"]) == (4, False)


def test_the_plan_of_a_refit_is_what_was_built_but_for_the_weights(gpu, files):
    old_onnx, new_onnx, old, new, _ = files
    build(old_onnx, old, "fp16", OPTIONS)
    refit(new_onnx, old, new)
    plans = [json.loads(path.read_bytes()) for path in (old, new)]
    assert plans[0].pop("weights") != plans[1].pop("weights")
    assert plans[0] == plans[1]


# The network's side of a refit needs no GPU, so here it is TensorRT for RTX's own parser and network


@pytest.mark.parametrize("opset", [17, 20])
def test_every_weight_of_an_exported_network_is_found_by_layer_and_role(tmp_path, opset):
    path, _ = exported(tmp_path, "uint8", opset, training=1)
    trt = import_library("tensorrt_rtx")
    network, *_holders = builder.parsed(trt, logger(trt), path)
    layers = refitting._layers_by_name(network)
    roles = {"CONVOLUTION": ("KERNEL", "BIAS"), "CONSTANT": ("CONSTANT",)}
    found = [
        refitting._weights(trt, layers, name, role)
        for name, layer in list(layers.items())
        for role in roles.get(layer.type.name, ())
    ]
    model = onnx.load(path)
    weights = [numpy_helper.to_array(tensor).reshape(-1) for tensor in model.graph.initializer]
    for values in [values for values in weights if values.dtype == np.float32 and values.size > 3]:
        assert any(np.array_equal(values, each) for each in found)


def test_tensorrt_for_rtx_is_not_asked_for_engines_that_take_new_weights(tmp_path):
    path, _ = exported(tmp_path)
    with pytest.raises(ValueError, match="weights are exchanged on one alone; set `refit: false`"):
        build(path, tmp_path / "m.rtx", "fp32", OPTIONS | {"compute_capability": "8.9"})
    assert not (tmp_path / "m.rtx").exists()
