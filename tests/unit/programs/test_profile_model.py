import gzip
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from profile_model import Seconds, advise, profile, summarise
from slipway.core.hardware import usable_cores
from slipway.keys.code_hash import SCRIPTS


def event(key: str, cpu_ms: float, device_ms: float = 0, count: int = 1, where: str = "CPU") -> SimpleNamespace:
    """Return what PyTorch's profiler says of one operator, or of a kernel on "CUDA"; it counts in microseconds."""
    return SimpleNamespace(
        key=key,
        device_type=SimpleNamespace(name=where),
        count=count,
        self_cpu_time_total=cpu_ms * 1e3,
        self_device_time_total=device_ms * 1e3,
        self_cpu_memory_usage=64,
    )


EVENTS = [
    event("aten::mkldnn_convolution", 600, count=50),
    event("aten::native_batch_norm", 200),
    event("aten::addmm", 100),
    event("aten::empty", 0),
]
SECONDS = Seconds(wall=1.0, cpu=1.0, profiled_wall=1.0)


def test_shares_on_a_cpu():
    found = summarise(EVENTS, "cpu", Seconds(wall=0.8, cpu=0.4 * usable_cores(), profiled_wall=1.0))
    assert found["compute_share"] == pytest.approx(0.7)
    assert found["foldable_share"] == pytest.approx(0.2)
    assert found["launch_overhead"] == pytest.approx(0.1)
    assert found["cpu_utilisation"] == pytest.approx(0.5)
    assert found["gpu_utilisation"] is None


def test_operators_are_sorted_by_their_time():
    found = summarise(list(reversed(EVENTS)), "cpu", SECONDS)["operators"]
    assert [entry["name"] for entry in found] == ["aten::mkldnn_convolution", "aten::native_batch_norm", "aten::addmm"]
    assert found[0] == {
        "name": "aten::mkldnn_convolution",
        "calls": 50,
        "self_ms": 600,
        "share": 0.6,
        "memory_bytes": 64,
    }


def test_shares_on_a_gpu_are_of_its_kernels_each_counted_once():
    events = [
        event("aten::cudnn_convolution", 20, device_ms=300),
        event("aten::cudnn_batch_norm", 10, device_ms=100),
        event("sm90_xmma_fprop_implicit_gemm", 0, device_ms=300, where="CUDA"),
        event("bn_fw_inf_1C11_kernel_NCHW", 0, device_ms=100, where="CUDA"),
        event("cudaLaunchKernel", 500),
        event("Activity Buffer Request", 1, device_ms=100),
    ]
    found = summarise(events, "cuda", Seconds(wall=1.0, cpu=1.0, profiled_wall=2.0))
    assert found["gpu_utilisation"] == pytest.approx(0.4)
    assert found["launch_overhead"] == pytest.approx(0.25)
    assert found["compute_share"] == pytest.approx(0.3)
    assert found["foldable_share"] == pytest.approx(0.1)
    assert [entry["name"] for entry in found["operators"]] == ["aten::cudnn_convolution", "aten::cudnn_batch_norm"]


def test_no_more_than_thirty_operators_are_listed():
    events = [event(f"aten::conv{index}", 1 + index) for index in range(40)]
    assert len(summarise(events, "cpu", SECONDS)["operators"]) == 30


def test_overlapping_work_gives_no_negative_overhead():
    assert summarise([event("aten::conv2d", 1500)], "cpu", SECONDS)["launch_overhead"] == 0


@pytest.mark.parametrize(
    "operator",
    [
        "aten::max_pool2d_with_indices",
        "aten::native_layer_norm",
        "aten::gelu",
        "aten::_softmax",
        "aten::mul",
        "aten::add",
    ],
)
def test_an_operator_that_computes_is_no_launch_overhead(operator):
    assert summarise([event(operator, 1000)], "cpu", SECONDS)["launch_overhead"] == 0


def test_the_profile_of_a_real_model():
    import torch

    model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU()).eval()
    profiled, seconds = profile(model, [torch.zeros(1, 3, 32, 32)], steps=3)
    found = summarise(profiled.key_averages(), "cpu", seconds)
    names = {entry["name"]: entry for entry in found["operators"]}
    assert names["aten::conv2d"]["calls"] == 3
    assert 0 < found["compute_share"] <= 1
    assert 0 < found["foldable_share"] <= 1


# Advice

CALM = {
    "foldable_share": 0.0,
    "launch_overhead": 0.0,
    "compute_share": 0.0,
    "cpu_utilisation": 0.9,
    "gpu_utilisation": 0.9,
}


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_nothing_to_say_is_not_said(device):
    assert advise(CALM, device, 1) == []


@pytest.mark.parametrize(
    ("device", "figure", "words"),
    [
        ("cpu", {"foldable_share": 0.21}, ["21%", "folds"]),
        ("cpu", {"launch_overhead": 0.31}, ["31%", "batch size 4"]),
        ("cuda", {"gpu_utilisation": 0.41}, ["41%", "GPU"]),
        ("cpu", {"cpu_utilisation": 0.51}, ["51%", f"{usable_cores()} cores", "instances"]),
        ("cpu", {"compute_share": 0.71}, ["71%", "lower precision"]),
    ],
)
def test_each_advice_has_its_figure(device, figure, words):
    [advice] = advise(CALM | figure, device, 4)
    assert [word for word in words if word not in advice] == []


def test_a_model_without_a_batch_axis_is_not_advised_to_batch():
    advice = " ".join(advise(CALM | {"launch_overhead": 0.31, "gpu_utilisation": 0.41}, "cuda", None))
    assert "31% goes to launching and dispatching: an engine or a CUDA graph removes most of it" in advice
    assert "41% of the time: run more instances" in advice
    assert "batch" not in advice


def test_a_cpu_is_not_advised_about_a_gpu():
    assert advise(CALM | {"gpu_utilisation": None}, "cpu", 1) == []


def test_a_trace_in_a_folder_whose_name_has_a_quote_is_json(tmp_path):
    folder = tmp_path / 'the "best" one'
    folder.mkdir()
    program = folder / "program.py"
    program.write_text(
        "import sys\nfrom pathlib import Path\nimport torch\nfrom profile_model import profile, write_trace\n"
        "def run():\n    return profile(torch.nn.Linear(4, 2), torch.randn(1, 4), 1)[0]\n"
        "write_trace(run(), Path('m.pt.trace.json.gz'))\n"
    )
    subprocess.run(
        [sys.executable, program.name],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(SCRIPTS)},
        check=True,
    )
    trace = json.loads(gzip.decompress((folder / "m.pt.trace.json.gz").read_bytes()))
    assert any(event.get("name") == "aten::linear" for event in trace["traceEvents"])
