import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers.models.random_images import random_batch

from slipway.benchmark.cuda_timing import StreamContext
from slipway.benchmark.gpu_monitor import GpuMonitor, summarise_readings
from slipway.benchmark.gpu_subjects import half_precision, measure_eager, measure_fp16
from slipway.benchmark.timing import Effort
from slipway.classification.images import Preprocessing
from slipway.contract.contract import BATCH, Contract, Normalisation, Tensor
from slipway.contract.network import ServedNetwork

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
]

EFFORT = Effort(seconds=0.5, warmup_seconds=0.1, min_samples=5, budget_seconds=5)
PREPROCESS = Preprocessing(72, 64, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))


def contract_of(dtype):
    normalisation = Normalisation(PREPROCESS.mean, PREPROCESS.std) if dtype == "uint8" else None
    taken = Tensor("input", dtype, (BATCH, 3, 64, 64), normalisation=normalisation)
    return Contract((taken,), (Tensor("logits", "float32", (BATCH, 10)),))


PLAIN, GRAPH = {"gpu", "enqueue", "end_to_end"}, {"gpu_graph", "enqueue_graph", "end_to_end_graph"}


@pytest.fixture(scope="module")
def model():
    """Return a small convolutional classifier."""
    torch.manual_seed(0)
    blocks = []
    for before, after in [(3, 32), (32, 64), (64, 64), (64, 64)]:
        blocks += [torch.nn.Conv2d(before, after, 3, padding=1), torch.nn.BatchNorm2d(after), torch.nn.ReLU()]
    tail = [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(64, 10)]
    return torch.nn.Sequential(*blocks, *tail).eval()


@pytest.mark.parametrize("input_dtype", ["float32", "uint8"])
def test_eager_is_measured_and_gives_its_memory_back(model, input_dtype):
    images = random_batch(input_dtype, 4, PREPROCESS.crop)
    case = (model, contract_of(input_dtype), {"input": images}, EFFORT, [1, 2])
    measure_eager(*case)
    before = torch.cuda.memory_allocated()  # the libraries' workspaces of both streams stay
    found = measure_eager(*case)
    assert set(found["samples_ms"]) == PLAIN | {"h2d", "d2h"}
    assert all(len(series) >= 5 and min(series) > 0 for series in found["samples_ms"].values())
    assert set(found["throughput_per_s"]) == {"1", "2"}
    assert found["throughput_graph_per_s"] is None
    assert found["device_memory_bytes"] > images.nbytes
    assert torch.cuda.memory_allocated() == before
    assert not next(model.parameters()).is_cuda


@pytest.mark.parametrize("input_dtype", ["float32", "uint8"])
def test_fp16_is_measured_in_a_graph_too(model, input_dtype):
    images = random_batch(input_dtype, 4, PREPROCESS.crop)
    found = measure_fp16(model, contract_of(input_dtype), {"input": images}, EFFORT, [1, 2])
    assert found["no_graph_reason"] is None
    assert set(found["samples_ms"]) == PLAIN | GRAPH | {"h2d", "d2h"}
    assert set(found["throughput_graph_per_s"]) == {"1", "2"}
    assert torch.backends.cudnn.benchmark is False


@pytest.mark.parametrize("input_dtype", ["float32", "uint8"])
def test_the_graph_computes_what_the_model_does(model, input_dtype):
    images = random_batch(input_dtype, 4, PREPROCESS.crop)
    with torch.inference_mode():
        expected = ServedNetwork(model, contract_of(input_dtype))(torch.from_numpy(images))[0].numpy()
        stream_context = StreamContext(half_precision(model, contract_of(input_dtype)).to("cuda"), [images])
        stream_context.capture()
        with torch.cuda.stream(stream_context.stream):
            stream_context.upload()
            stream_context.replay()
            stream_context.download()
        stream_context.stream.synchronize()
    assert np.abs(stream_context.host_outputs[0].numpy() - expected).max() < 0.02 * np.abs(expected).max()


NOT_CAPTURABLE = """
import numpy as np, torch
from slipway.benchmark.cuda_timing import measure_forward
from slipway.benchmark.timing import Effort

def decides_on_the_host(images):
    return (images.float().mean((2, 3)) if images.sum().item() > -1e9 else images.mean((2, 3)),)

images = np.ones((2, 3, 8, 8), np.float32)
found = measure_forward(decides_on_the_host, [images], 2, Effort(0.1, 0.01, 3, 5), graph=True)
assert found["no_graph_reason"] and found["throughput_graph_per_s"] is None, found
assert "gpu_graph" not in found["samples_ms"]
print(found["no_graph_reason"])
"""


def test_a_model_that_cannot_be_captured_is_measured_without_a_graph(request):
    """In a process of its own: a broken capture may leave CUDA unusable."""
    scripts = request.config.rootpath / "scripts"
    done = subprocess.run(
        [sys.executable, "-c", NOT_CAPTURABLE], capture_output=True, text=True, cwd=scripts, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_monitor_reads_this_gpu():
    monitor = GpuMonitor(interval_seconds=0.02)
    assert monitor.unavailable is None
    with monitor.watching():
        size = torch.randn(4096, 4096, device="cuda")
        for _ in range(50):
            size @ size
        torch.cuda.synchronize()
    seen = summarise_readings(monitor.readings)
    assert seen["readings"] >= 1
    assert monitor.facts()["name"] == torch.cuda.get_device_name()
    assert seen["memory_used_mb"] is None or seen["memory_used_mb"]["max"] > 0
    assert monitor.used_memory_mb() is None or monitor.used_memory_mb() > 0
