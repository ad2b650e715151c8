"""Engines of several inputs and outputs with dynamic axes, over stand-ins; tests/gpu runs them on TensorRT itself."""

import numpy as np
import pytest
from helpers.gpu_stand_in.asking import TWO_PROFILES, assert_texts, texts, write_text_engine

from slipway.runtimes.tensorrt import trial
from slipway.runtimes.tensorrt.inspector import UNBATCHED
from slipway.runtimes.tensorrt.measuring import measure
from slipway.runtimes.tensorrt.runner import MOST_GRAPHS, Engine


def of(*requests):
    """Return requests as one batch."""
    return {name: np.concatenate([request[name] for request in requests]) for name in requests[0]}


@pytest.mark.parametrize(("ids", "dtype"), [("INT32", "int32"), ("INT64", "int64")])
def test_every_output_of_every_size_is_answered_again_and_again(graphs, tmp_path, ids, dtype):
    engine = Engine(write_text_engine(tmp_path / "m.trt", ids, profiles=TWO_PROFILES), "fp32")
    assert engine.tensors() == {
        "inputs": [
            {"name": "ids", "dtype": dtype, "shape": [-1, -1]},
            {"name": "mask", "dtype": "bool", "shape": [-1, -1]},
        ],
        "outputs": [
            {"name": "scores", "dtype": "float32", "shape": [-1, 2]},
            {"name": "tokens", "dtype": "float32", "shape": [-1, -1]},
        ],
    }
    kept = []
    for seed, shape in enumerate([(1, 9), (3, 4), (4, 3), (1, 1), (3, 4), (1, 9), (300, 2)]):
        inputs = texts(*shape, seed=seed)
        kept.append((engine.infer(inputs), inputs))
    for outputs, inputs in kept:
        assert_texts(outputs, inputs)


def test_a_graph_is_recorded_once_for_the_sizes_of_all_axes(graphs, tmp_path):
    engine = Engine(write_text_engine(tmp_path / "m.trt"), "fp32")
    for shape in [(2, 3), (3, 2), (2, 3), (2, 4), (3, 2)]:
        engine.infer(texts(*shape))
    again = ["launch", (2, 3), (2, 4), "record", "launch", (3, 2)]
    assert graphs.did == [(2, 3), "record", (3, 2), "record", *again]


def test_inputs_of_ever_new_sizes_do_not_fill_the_memory_with_graphs(graphs, tmp_path, monkeypatch):
    monkeypatch.setattr("slipway.runtimes.tensorrt.runner.MOST_GRAPHS", 2)
    assert MOST_GRAPHS > 2
    engine = Engine(write_text_engine(tmp_path / "m.trt"), "fp32")
    for _ in range(2):
        for length in (1, 2, 3, 4):
            assert_texts(engine.infer(texts(2, length, seed=length)), texts(2, length, seed=length))
    assert graphs.did.count("record") == 2


def test_requests_run_as_one_batch_if_their_other_sizes_are_equal(gpu, tmp_path):
    engine = Engine(write_text_engine(tmp_path / "m.trt"), "fp32")
    requests = [texts(count, 5, seed=count) for count in (2, 1, 3)]
    assert_texts(engine.infer_all(requests), of(*requests))
    assert [size for size in gpu.did if isinstance(size, tuple)] == [(6, 5)]
    with pytest.raises(ValueError, match=r"different sizes cannot run as one batch: ids \(2, 5\), .* and ids \(1, 4\)"):
        engine.infer_all([requests[0], texts(1, 4)])
    assert_texts(engine.infer_all(requests[:1]), requests[0])


def changed(**arrays):
    return texts(2, 5) | arrays


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"ids": texts(2, 5)["ids"]}, "takes the inputs ids, mask, not ids"),
        (changed(more=np.zeros(2)), "takes the inputs ids, mask, not ids, mask, more"),
        (changed(mask=texts(2, 5)["ids"]), r"takes bool \(\?, \?\) as mask, not int64 \(2, 5\)"),
        (changed(ids=texts(2, 5)["ids"].astype(np.float32)), "takes int32 .* as ids, not float32"),
        (changed(ids=texts(2, 5)["ids"][0]), r"as ids, not int64 \(5,\)"),
        (changed(ids=texts(3, 5)["ids"]), r"differ in their batch size: ids \(3, 5\), mask \(2, 5\)"),
        (texts(2, 10), r"takes ids from \(1, 1\) to \(8, 9\), not \(2, 10\)"),
        (changed(ids=np.full((2, 5), 2**31)), "ids has values from 2147483648 to 2147483648, but .* int32"),
        (changed(ids=np.full((2, 5), -(2**31) - 1)), "ids has values from -2147483649"),
    ],
)
def test_what_does_not_fit_is_refused_and_the_next_request_answered(gpu, tmp_path, inputs, words):
    engine = Engine(write_text_engine(tmp_path / "m.trt"), "fp32")
    with pytest.raises(ValueError, match=words):
        engine.infer(inputs)
    assert_texts(engine.infer(texts(2, 5)), texts(2, 5))


def test_an_engine_without_a_batch_axis_runs_one_request_and_splits_none(gpu, tmp_path):
    path = write_text_engine(tmp_path / "m.trt", batch=(), name=UNBATCHED)
    engine = Engine(path, "fp32")
    assert engine.profiles == [{"min": 1, "opt": 1, "max": 1}]
    for length in (9, 1, 6):
        assert_texts(engine.infer(texts(length)), texts(length))
    with pytest.raises(ValueError, match=r"takes ids from \(1,\) to \(9,\), not \(10,\)"):
        engine.infer(texts(10))
    with pytest.raises(ValueError, match="no batch axis, so it runs one request at a time"):
        engine.infer_all([texts(3), texts(3)])
    assert measure(engine, 1, 0.02, 0.01, 2, [1])["profile"] == 0
    assert gpu.did.count((6,)) > 2


def test_an_output_whose_size_nobody_knows_before_is_refused_with_the_way_round(gpu, tmp_path):
    engine = Engine(write_text_engine(tmp_path / "m.trt", tokens=None), "fp32")
    with pytest.raises(ValueError, match=r"the size of the output tokens follows from the values .* end the served"):
        engine.infer(texts(2, 5))


def test_it_is_measured_at_the_optimal_size_or_on_the_inputs_that_are_given(graphs, tmp_path):
    engine = Engine(write_text_engine(tmp_path / "m.trt"), "fp32")
    found = measure(engine, 3, 0.02, 0.01, 2, [1, 2])
    assert {size for size in graphs.did if isinstance(size, tuple)} == {(3, 6)}
    largest = 8 * (9 * (4 + 1) + 9 * 4 + 2 * 4)
    assert found["device_memory_bytes"] == (tmp_path / "m.trt").stat().st_size + 4096 + largest
    graphs.did.clear()
    given = texts(2, 8, seed=3)
    measure(engine, 2, 0.02, 0.01, 2, [1, 2], inputs=given)
    assert {size for size in graphs.did if isinstance(size, tuple)} == {(2, 8)}
    np.testing.assert_array_equal(engine.stream_context(0).inputs["ids"].host, given["ids"])
    with pytest.raises(ValueError, match="are a batch of 2, not of 3"):
        measure(engine, 3, 0.02, 0.01, 2, [1], inputs=given)


def test_a_new_engine_answers_samples_of_several_lengths_beside_the_one_it_would_replace(gpu, tmp_path, monkeypatch):
    monkeypatch.setattr("slipway.runtimes.tensorrt.measuring.TURN_SECONDS", 0.001)
    monkeypatch.setattr("slipway.runtimes.tensorrt.comparing.WARM_UP_SECONDS", 0.001)
    paths = [write_text_engine(tmp_path / f"{index}.trt", profiles=TWO_PROFILES) for index in range(2)]
    samples = [texts(1, length, seed=length) for length in (3, 9, 1)]
    found = trial(*paths, samples)
    assert [each["batch"] for each in found["speed"]] == [1, 128]
    for outputs, sample in zip(found["outputs"], samples, strict=True):
        assert_texts(outputs, sample)
