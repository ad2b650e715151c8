"""An engine in a process of its own, under another interpreter, over stand-ins."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.gpu_stand_in import CLASSES, CROP, write_engine, write_interpreter
from helpers.gpu_stand_in.asking import (
    SAMPLES,
    TWO_PROFILES,
    assert_answers,
    assert_texts,
    logits,
    pictures,
    texts,
    write_text_engine,
)

from benchmark import measure_all
from slipway.benchmark.gpu_subjects import gpu_subjects
from slipway.benchmark.timing import Effort
from slipway.contract.contract import BATCH, Contract, Tensor
from slipway.core.errors import SlipwayError
from slipway.engines.subprocess_engine import SubprocessEngine
from slipway.runtimes.tensorrt.inspector import UNBATCHED

EFFORT = {"seconds": 0.02, "warmup_seconds": 0.01, "min_samples": 2, "streams": [1]}


@pytest.fixture
def python(tmp_path):
    """Return an interpreter that has TensorRT and both bindings."""
    return write_interpreter(tmp_path, sys.executable, "pycuda", "cuda-bindings")


@pytest.mark.parametrize("dtype", ["FLOAT", "UINT8"])
def test_a_remote_engine(python, tmp_path, dtype):
    path = write_engine(tmp_path / "m.trt", dtype=dtype, profiles=TWO_PROFILES)
    kind = np.uint8 if dtype == "UINT8" else np.float32
    with SubprocessEngine(path, python) as engine:
        for count in (1, 3, 300, 3):
            batch = pictures(count, count, kind)
            assert_answers(logits(engine, batch), batch)
        strided = pictures(4, dtype=kind)[::2]
        assert_answers(logits(engine, strided), strided)
        found = engine.measure(4, seconds=0.08, warmup_seconds=0.01, min_samples=3, streams=[1, 2])
        assert list(found["samples_ms"]) == SAMPLES
        assert (found["profile"], found["binding"]) == (1, "pycuda")
        assert list(found["throughput_graph_per_s"]) == ["1", "2"]
        batch = pictures(3, 9, kind)
        assert_answers(logits(engine, batch), batch)
        process = engine._process
    assert process.returncode == 0


def test_remote_engines_take_turns_and_stay_loaded(python, tmp_path):
    path = write_engine(tmp_path / "m.trt")
    tensors = Tensor("input", "float32", (BATCH, 3, CROP, CROP)), Tensor("logits", "float32", (BATCH, CLASSES))
    contract, built = Contract(tensors[:1], tensors[1:]), SimpleNamespace(cast=dict)
    with SubprocessEngine(path, python) as fp16, SubprocessEngine(path, python) as int8:
        engines = {"fp16": (built, fp16), "int8": (built, int8)}
        subjects = gpu_subjects(None, contract, engines, streams=[1])
        taking_turns = {name: subjects[name] for name in engines}
        results, samples, _ = measure_all(taking_turns, {4: {"input": pictures(4)}}, Effort(0.1, 0.01, 5, 1), None)
        processes = [engine._process for engine in (fp16, int8)]
        assert [process.poll() for process in processes] == [None, None]
    assert [(result["subject"], result["batch"]) for result in results] == [("fp16", 4), ("int8", 4)]
    for result in results:
        figures = result["intervals"]
        assert set(figures["p50_ms"]) == set(SAMPLES)
        assert {"low", "high", "verdict"} <= set(figures["p50_ms"]["gpu_graph"]) & set(figures["inferences_per_s"])
        assert len(samples[f"{result['subject']}/4/gpu"]) >= len(result["rounds"])


def test_a_remote_engine_of_several_tensors(python, tmp_path):
    path = write_text_engine(tmp_path / "m.trt", batch=(), name=UNBATCHED)
    with SubprocessEngine(path, python) as engine:
        assert_texts(engine.infer(texts(7)), texts(7))
        found = engine.measure(1, inputs=texts(4), **EFFORT)
        assert found["throughput_per_s"]["1"] > 0


def test_a_remote_engines_error_is_told_and_the_next_request_answered(python, tmp_path):
    path = write_engine(tmp_path / "m.trt", profiles=[{"min": 2, "opt": 4, "max": 8}])
    with SubprocessEngine(path, python) as engine:
        for _ in range(2):
            with pytest.raises(SlipwayError, match="takes batch size 1"):
                logits(engine, pictures(1))
            assert_answers(logits(engine, pictures(2)), pictures(2))
        with pytest.raises(SlipwayError, match="takes batch size 9"):
            engine.measure(9, **EFFORT)


def test_a_remote_engine_that_cannot_be_loaded_is_told(python, tmp_path):
    (tmp_path / "m.trt").write_bytes(b"ftrt")
    with (
        SubprocessEngine(tmp_path / "m.trt", python) as engine,
        pytest.raises(SlipwayError, match="cannot load"),
    ):
        logits(engine, pictures(1))


def test_an_interpreter_without_tensorrt_is_told(tmp_path):
    python = write_interpreter(tmp_path, sys.executable)
    customize = tmp_path / "site" / "sitecustomize.py"
    customize.write_text("import sys\nsys.modules['tensorrt'] = None\n", encoding="utf-8")
    with (
        SubprocessEngine(tmp_path / "m.trt", python) as engine,
        pytest.raises(SlipwayError, match="no usable tensorrt"),
    ):
        logits(engine, pictures(1))


def test_an_interpreter_that_cannot_be_started_is_told(tmp_path):
    with pytest.raises(SlipwayError, match=r"cannot be started .*tensorrt\.python"):
        SubprocessEngine(tmp_path / "m.trt", tmp_path / "absent")


def test_a_worker_that_dies_is_told(python, tmp_path):
    path = write_engine(tmp_path / "m.trt", vice="dies")
    with SubprocessEngine(path, python) as engine:
        for _ in range(2):  # at work, and long ago
            with pytest.raises(SlipwayError, match="ended with exit code 7"):
                logits(engine, pictures(8))


def test_a_worker_that_dies_while_it_answers_is_told(tmp_path):
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho \'{"arrays": ["logits"]}\'\nexit 3\n', encoding="utf-8")
    python.chmod(0o755)
    with (
        SubprocessEngine(tmp_path / "m.trt", python) as engine,
        pytest.raises(SlipwayError, match="ended with exit code 3"),
    ):
        logits(engine, pictures(1))
