"""TensorRT itself on its GPU: build, run, and each mistake that can be made with an engine."""

import functools
import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from helpers.models import tiny_network
from helpers.models.random_images import random_batch
from helpers.models.served_pictures import contract_of, write_reference
from helpers.tensorrt_builds import BUILDER, PYTHON, SCRIPTS, VERSION, Build, run_python

import cast_onnx
from slipway.benchmark.agreement import compare as compare_tensors
from slipway.core.artifacts import read_json, write_json
from slipway.core.errors import SlipwayError
from slipway.core.hardware import gpu_identity
from slipway.core.package_versions import ABSENT
from slipway.engines.subprocess_engine import SubprocessEngine
from slipway.onnx.convolution_head import with_convolution_head
from slipway.onnx.onnx_files import described

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available() or VERSION == ABSENT, reason="needs an NVIDIA GPU and TensorRT"),
]


def compare(reference, logits):
    """Return the agreement of two outputs (N, values)."""
    return compare_tensors({"logits": reference}, {"logits": logits}, contract_of(tiny_network.CROP))


def with_convolution_instead_of_product(path, record):
    """Change the classifier's matrix product, for which TensorRT 8 would need cuBLAS, into a convolution."""
    onnx.save(with_convolution_head(onnx.load(path)), path)
    write_json(record, read_json(record) | described(path))


LIMITS = {
    "fp32": {"min_cosine": 0.9999, "max_relative_error": 0.001, "min_top1_agreement": 0.98},
    "fp16": {"min_cosine": 0.999, "max_relative_error": 0.01, "min_top1_agreement": 0.98},
}
TWO_PROFILES = BUILDER | {"refit": True}
ONE_PROFILE = TWO_PROFILES | {"profiles": [{"min": 1, "opt": 4, "max": 8}]}


class Trained(Build):
    """A tiny network that is trained again and again, and its engine of one precision."""

    def __init__(self, folder, precision, builder):
        super().__init__(folder, None, None)
        self.precision, self.builder = precision, builder
        self.reference = folder / "reference_outputs.npz"

    def options(self):
        return super().options() | {
            "precision": self.precision,
            "builder": json.dumps(self.builder),
            "timing_cache": self.folder / "timing.cache",
            "reference": self.reference,
            "limits": json.dumps(LIMITS[self.precision]),
            "max_slowdown": 100,  # a network of this size takes microseconds, and other work may use the GPU
        }

    def train(self, training):
        """Write the ONNX file of a training, and what ONNX Runtime answers to a picture and 8 others."""
        self.onnx, self.onnx_record = tiny_network.exported(self.folder, "uint8", training=training)
        with_convolution_instead_of_product(self.onnx, self.onnx_record)
        pictures = [random_batch("uint8", count, tiny_network.CROP, seed=count) for count in (1, 8)]
        answers = [self.answer(images) for images in pictures]
        self.varied, self.expected = pictures[1], answers[1]
        write_reference(self.reference, pictures, answers)
        if self.precision == "fp16":
            self.lower()

    def answer(self, images):
        """Return ONNX Runtime's logits, in FP32."""
        session = onnxruntime.InferenceSession(str(self.onnx), providers=["CPUExecutionProvider"])
        return session.run(None, {"input": images})[0]

    def lower(self):
        """Cast the ONNX file to FP16."""
        low = self.folder / "low.onnx"
        files = f"--onnx {self.onnx} --onnx-record {self.onnx_record} --output {low} --record {low}.json".split()
        files += ["--samples", f"{self.folder}/uint8.samples.npz"]
        cast_onnx.main(cast_onnx.parse_arguments([*files, "--variant", "fp16"]))
        self.onnx, self.onnx_record = low, self.folder / "low.onnx.json"

    def bring_up_to_date(self, **changed):
        """Run the build program; return the record, which it has to write."""
        done = self.build(**changed)
        assert done.returncode == 0, done.stderr[-3000:]
        print(*[line for line in done.stderr.splitlines() if line.startswith("  ")], sep="\n")
        return read_json(self.record)

    def assert_answers_as_trained(self):
        """Compare the engine that lies there with what was trained last."""
        with SubprocessEngine(self.engine, PYTHON) as engine:
            found = compare(self.expected, engine.infer({"input": self.varied})["logits"])
        assert found["relative_error"] < LIMITS[self.precision]["max_relative_error"], found


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return a network with an engine of two profiles. A test leaves it as it is, or changes a copy."""
    found = Trained(tmp_path_factory.mktemp("tensorrt"), "fp32", TWO_PROFILES)
    found.train(1)
    found.bring_up_to_date()
    return found


def test_the_record_tells_what_was_built(built):
    record = read_json(built.record)
    assert record["layers_read_from"] == "the engine"
    assert record["layers"]["fp32"] > sum(record["layers"].values()) / 2
    assert [(tensor["name"], tensor["dtype"]) for tensor in record["tensors"]["inputs"]] == [("input", "uint8")]
    assert [(tensor["name"], tensor["dtype"]) for tensor in record["tensors"]["outputs"]] == [("logits", "float32")]
    assert record["profiles"] == TWO_PROFILES["profiles"]
    assert record["timing_cache"]["bytes_after"] > 0
    assert f"{record['gpu']['name']} (compute capability {record['gpu']['compute_capability']})" == gpu_identity()
    assert float(record["gpu"]["driver_cuda"]) >= 11


def test_it_is_kept_while_nothing_changes(built):
    before = built.engine.read_bytes()
    done = built.build()
    assert done.returncode == 0, done.stderr[-3000:]
    assert "kept:" in done.stderr
    assert built.engine.read_bytes() == before


def test_it_answers_as_onnx_runtime_does_at_every_batch_size_again_and_again(built, capfd):
    with SubprocessEngine(built.engine, PYTHON) as engine:
        for seed, batch in enumerate([1, 3, 8, 11, 3, 8, 1, 3]):  # from the second time on as a CUDA graph
            images = random_batch("uint8", batch, tiny_network.CROP, seed)
            assert compare(built.answer(images), engine.infer({"input": images})["logits"])["relative_error"] < 1e-3, (
                batch
            )
    assert "is not in profile" not in capfd.readouterr().err


def test_both_ways_to_cuda_give_the_same(built):
    images = random_batch("uint8", 4, tiny_network.CROP)
    np.save(built.folder / "images.npy", images)
    code = (
        f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import numpy as np\n"
        "from slipway.runtimes.tensorrt.device import open_device\n"
        "from slipway.runtimes.tensorrt.runner import Engine\n"
        "engine = Engine(sys.argv[1], 'fp32', device=open_device(binding=sys.argv[2]))\n"
        "images = np.load(sys.argv[3])\n"
        "infer = lambda: engine.infer({'input': images})['logits']\n"
        "infer(); np.save(sys.argv[4], infer())\n"
    )
    for binding in ("pycuda", "cuda-bindings"):
        answer = built.folder / f"{binding}.npy"
        done = run_python("-c", code, built.engine, binding, built.folder / "images.npy", answer)
        if "neither can be imported" in done.stderr:
            continue
        assert answer.exists(), done.stderr[-2000:]
        assert compare(built.answer(images), np.load(answer))["relative_error"] < 1e-3


def test_it_is_measured(built):
    with SubprocessEngine(built.engine, PYTHON) as engine:
        found = engine.measure(4, seconds=0.5, warmup_seconds=0.1, min_samples=5, streams=[1, 2])
    assert found["profile"] == 1
    assert all(len(samples) >= 5 for samples in found["samples_ms"].values() if samples is not None)
    assert found["throughput_per_s"]["1"] > 0
    assert found["throughput_per_s"]["2"] > 0


def test_a_truncated_engine_is_called_that(built):
    short = built.folder / "short.trt"
    short.write_bytes(built.engine.read_bytes()[:20000])
    with (
        SubprocessEngine(short, PYTHON) as engine,
        pytest.raises(SlipwayError, match="truncated, or built by another version"),
    ):
        engine.infer({"input": random_batch("uint8", 1, tiny_network.CROP)})


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"hardware": "NVIDIA L4 (compute capability 8.9)"},
            "planned for the GPU 'NVIDIA L4 (compute capability 8.9)'",
        ),
        ({"runtime_version": "10.0.0.1"}, f"planned for tensorrt 10.0.0.1, but {VERSION} runs"),
        ({"builder": json.dumps(TWO_PROFILES | {"tactic_sources": ["MAGIC"]})}, "knows only"),
    ],
    ids=["another GPU", "another version", "unknown tactic source"],
)
def test_what_does_not_fit_is_refused_and_the_good_engine_stays(built, changed, words):
    before = built.engine.read_bytes()
    done = built.build(**changed)
    assert done.returncode == 1
    assert words in done.stderr
    assert built.engine.read_bytes() == before


# Retraining: the same network with other weights, week after week


@pytest.fixture(scope="module")
def refitted(tmp_path_factory):
    """Return a function from a precision to a network that was built cold, with the timing cache, and refitted.

    It also returns the records of the three, and makes each network once. A test changes a copy of a network.
    """

    @functools.cache
    def of(precision):
        place, records = Trained(tmp_path_factory.mktemp(precision), precision, ONE_PROFILE), []
        # The second has nothing to prove a refit by, so it is built.
        for training, changed in ((1, {}), (2, {"reference": None}), (1, {})):
            place.train(training)
            records.append(place.bring_up_to_date(**changed))
            place.assert_answers_as_trained()
        return place, records

    return of


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_cold_build_timing_cache_and_refit_side_by_side(refitted, precision):
    pytest.importorskip("modelopt")
    _, (cold, cached, refit) = refitted(precision)
    assert (cold["way"], cold["not_refittable_reason"]) == ("cold", None)
    assert cached["way"] == "timing cache", cached["timing_cache"]
    assert refit["way"] == "refit", refit["attempts"]
    assert refit["layers"] == cold["layers"]
    assert refit["not_refittable_reason"] is None
    assert refit["attempts"][0]["accuracy"]["samples"] == 9
    assert [found["batch"] for found in refit["attempts"][0]["speed"]] == [1, 4]
    seconds = {record["way"]: record["attempts"][-1]["seconds"] for record in (cold, cached, refit)}
    print(f"{precision}: {seconds}; the refitted engine takes {refit['attempts'][0]['speed']}")


def test_a_refit_of_two_profiles_is_done_or_refused_by_itself(built, tmp_path):
    first, place = read_json(built.record), built.copied_to(tmp_path)
    place.train(2)
    second = place.bring_up_to_date()
    # 8.5 has no refitter for two profiles; 8.6 has one, and may fail in it: "did not take the new weights".
    refused = first["not_refittable_reason"] or second["attempts"][0].get("refused")
    assert (second["way"] == "refit") == (refused is None), refused
    place.assert_answers_as_trained()


def test_an_engine_refitted_twice_answers_as_trained_last(refitted, tmp_path):
    once, records = refitted("fp32")
    assert records[-1]["way"] == "refit", records[-1]["attempts"]
    place = once.copied_to(tmp_path)
    place.train(2)
    record = place.bring_up_to_date()
    assert record["way"] == "refit", record["attempts"]
    place.assert_answers_as_trained()
