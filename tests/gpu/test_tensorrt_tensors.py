"""TensorRT itself on its GPU with several inputs and outputs, dynamic axes, and without a batch axis."""

import json

import numpy as np
import pytest
import torch
from helpers.models import named_tensors
from helpers.models.named_tensors import SEQUENCE, assert_same, images, texts
from helpers.models.onnx_record import onnx_record
from helpers.tensorrt_builds import BUILDER, PYTHON, VERSION, Build
from onnx import helper

from slipway.contract.contract import Contract
from slipway.contract.reference_outputs import ReferenceOutputs, Sample
from slipway.core.artifacts import read_json, write_json
from slipway.core.errors import SlipwayError
from slipway.core.package_versions import ABSENT
from slipway.engines.subprocess_engine import SubprocessEngine

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available() or VERSION == ABSENT, reason="needs an NVIDIA GPU and TensorRT"),
]

LIMITS = {"min_cosine": 0.9999, "max_relative_error": 0.001, "min_top1_agreement": 0.98}


class Named(Build):
    """An ONNX file of named tensors, its record with the interface, what it answers, and its engine."""

    def __init__(self, folder, interface, write, **options):
        super().__init__(folder, folder / "m.onnx", folder / "m.onnx.json")
        self.interface, self._write, self._options = interface, write, options
        self.reference = folder / "reference_outputs.npz"
        self.train()

    def options(self):
        return super().options() | {"timing_cache": self.folder / "timing.cache"}

    def train(self, **changed):
        """Write the ONNX file, its record, and the reference outputs to sequences of several lengths."""
        self.answer = self._write(self.onnx, **self._options, **changed)
        write_json(self.onnx_record, onnx_record(self.onnx, self.interface))

    def prove(self, samples):
        """Write reference outputs to samples."""
        reference = [Sample(inputs, self.answer(inputs)) for inputs in samples]
        ReferenceOutputs(Contract.of(self.interface), tuple(reference)).write(self.reference)

    def built(self, **options):
        """Build; return the record."""
        done = self.build(**options)
        assert done.returncode == 0, done.stderr[-3000:]
        return read_json(self.record)

    def loaded(self):
        return SubprocessEngine(self.engine, PYTHON)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """Return a network of texts with an engine of two profiles. A test leaves it as it is, or changes a copy."""
    folder = tmp_path_factory.mktemp("text")
    found = Named(folder, named_tensors.text_interface(booleans=False), named_tensors.write_text, booleans=False)
    found.built()
    return found


@pytest.fixture(scope="module")
def engine(text):
    """Return the engine in a process that several tests share."""
    with text.loaded() as engine:
        yield engine


def test_the_record_has_the_engines_own_tensors_and_the_axes(text):
    record = read_json(text.record)
    for side in ("inputs", "outputs"):
        declared = {tensor["name"]: tensor for tensor in text.interface[side]}
        assert {tensor["name"] for tensor in record["tensors"][side]} == set(declared)
        for tensor in record["tensors"][side]:
            shape = declared[tensor["name"]]["shape"]
            assert tensor["shape"] == [-1 if isinstance(size, str) else size for size in shape]
            # TensorRT before 10 has int32 for int64.
            assert np.dtype(tensor["dtype"]).kind == np.dtype(declared[tensor["name"]]["dtype"]).kind
    assert record["profiles"] == BUILDER["profiles"]
    assert record["key"]["builder"]["axes"] == {"sequence": SEQUENCE}
    assert record["key"]["builder"]["inputs"] == {"ids": ["batch", "sequence"], "mask": ["batch", "sequence"]}


def test_it_answers_as_the_network_at_every_size_again_and_again(text, capfd):
    shapes = [(1, 6), (1, 12), (3, 1), (8, 12), (11, 5), (3, 1), (1, 12), (8, 12), (5, 8), (8, 5), (1, 6)]
    with text.loaded() as engine:
        for seed, shape in enumerate(shapes):  # from the second time on as a CUDA graph
            inputs = texts(*shape, seed=seed)
            assert_same(engine.infer(inputs), text.answer(inputs), 1e-3)
    assert "is not in profile" not in capfd.readouterr().err


def test_requests_are_answered_together_as_in_triton(text):
    requests = [texts(count, 7, seed=count) for count in (1, 3, 2)]
    together = {name: np.concatenate([request[name] for request in requests]) for name in requests[0]}
    outputs, errors = text.answer_together(requests)
    assert_same(outputs, text.answer(together), 1e-3)
    assert "is not in profile" not in errors


def test_what_does_not_fit_is_refused_and_the_next_request_answered(text, engine):
    integers = np.dtype(read_json(text.record)["tensors"]["inputs"][0]["dtype"])
    wrong = {
        "takes ids from": texts(2, SEQUENCE["max"] + 1),
        "takes the inputs ids, mask, not ids": {"ids": texts(2, 5)["ids"]},
        "differ in their batch size": texts(2, 5) | {"mask": texts(3, 5)["mask"]},
        "as mask, not float32": texts(2, 5) | {"mask": texts(2, 5)["mask"].astype(np.float32)},
    }
    if integers == np.int32:
        wrong["ids has values from"] = texts(2, 5) | {"ids": np.full((2, 5), 2**31)}
    for words, inputs in wrong.items():
        with pytest.raises(SlipwayError, match=words):
            engine.infer(inputs)
        assert_same(engine.infer(texts(2, 5)), text.answer(texts(2, 5)), 1e-3)


def test_it_is_measured_on_random_and_on_real_inputs(text, engine):
    effort = {"seconds": 0.5, "warmup_seconds": 0.1, "min_samples": 5, "streams": [1, 2]}
    for inputs in (None, texts(4, 3), texts(4, 12)):
        found = engine.measure(4, **effort, inputs=inputs)
        assert found["profile"] == 1
        assert all(len(samples) >= 5 for samples in found["samples_ms"].values() if samples is not None)
        assert min(found["throughput_per_s"].values()) > 0
        assert found["device_memory_bytes"] > text.engine.stat().st_size
    with pytest.raises(SlipwayError, match="are a batch of 4, not of 2"):
        engine.measure(2, **effort, inputs=texts(4, 3))
    assert_same(engine.infer(texts(2, 5)), text.answer(texts(2, 5)), 1e-3)


@pytest.mark.parametrize("refit", [False, True], ids=["built", "refitted"])
def test_a_retrained_one_is_compared_on_samples_of_several_lengths(text, tmp_path, refit):
    place, options = text.copied_to(tmp_path), {}
    if refit:
        # TensorRT 8.5 has no refitter for two profiles.
        options["builder"] = json.dumps(BUILDER | {"profiles": [{"min": 1, "opt": 4, "max": 8}], "refit": True})
        place.built(**options)
    first = read_json(place.record)
    samples = [texts(1, length, seed=length) for length in (6, 1, 12, 3)]
    place.train(training=6)
    place.prove(samples)
    record = place.built(reference=place.reference, limits=json.dumps(LIMITS), max_slowdown=100, **options)
    final = record["attempts"][-1]
    assert final["refused"] is None, record["attempts"]
    assert final["accuracy"]["samples"] == len(samples)
    assert set(final["accuracy"]["outputs"]) == {"scores", "tokens", "best"}
    assert final["accuracy"]["relative_error"] < LIMITS["max_relative_error"]
    assert [speed["batch"] for speed in final["speed"]] == [1, 4]
    print(record["way"], first["not_refittable_reason"], [attempt["refused"] for attempt in record["attempts"]])
    with place.loaded() as engine:
        assert_same(engine.infer(texts(3, 9)), place.answer(texts(3, 9)), 1e-3)


def test_without_a_batch_axis_it_runs_one_request_and_splits_none(tmp_path):
    interface = named_tensors.text_interface((), booleans=False)
    place = Named(tmp_path, interface, named_tensors.write_text, batch=(), booleans=False)
    assert place.built()["profiles"] == [{"min": 1, "opt": 1, "max": 1}]
    with place.loaded() as engine:
        for length in (6, 1, 12, 6, 12):
            assert_same(engine.infer(texts(length, seed=length)), place.answer(texts(length, seed=length)), 1e-3)
        with pytest.raises(SlipwayError, match="takes ids from"):
            engine.infer(texts(SEQUENCE["max"] + 1))
        assert (
            engine.measure(1, seconds=0.2, warmup_seconds=0.05, min_samples=3, streams=[1])["throughput_per_s"]["1"] > 0
        )


def test_truth_values_come_out(tmp_path):
    place = Named(tmp_path, named_tensors.text_interface(), named_tensors.write_text)
    place.built()
    with place.loaded() as engine:
        assert_same(engine.infer(texts(3, 7)), place.answer(texts(3, 7)), 1e-3)


def test_pictures_of_dynamic_height_and_width(tmp_path):
    place = Named(tmp_path, named_tensors.map_interface(), named_tensors.write_map)
    place.built()
    with place.loaded() as engine:
        for size in [(1, 32, 48), (3, 16, 64), (8, 64, 64), (1, 32, 48), (2, 33, 47)]:
            outputs, expected = engine.infer(images(*size)), place.answer(images(*size))
            np.testing.assert_allclose(outputs["masks"], expected["masks"], rtol=1e-3, atol=1e-3)
            assert (outputs["best"] == expected["best"]).mean() > 0.99


def test_an_output_whose_size_nobody_knows_before_is_refused_with_the_way_round(tmp_path):
    interface = named_tensors.interface([("x", "float32", ("batch", 7))], [("y", "int64", (2, None))], {})

    def write(path):
        return named_tensors.write(path, [helper.make_node("NonZero", ["x"], ["y"])], {}, interface)

    place = Named(tmp_path, interface, write)
    done = place.build()
    if done.returncode:  # a release whose parser has no such operator
        assert "NonZero" in done.stderr
        return
    with (
        place.loaded() as engine,
        pytest.raises(SlipwayError, match="the size of the output y follows from the values"),
    ):
        engine.infer({"x": np.ones((2, 7), np.float32)})
