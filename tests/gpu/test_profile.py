import gzip
import json

import pytest
import torch

from profile_model import profile, summarise
from slipway.models.architectures import build

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
]


@pytest.mark.parametrize(("batch", "at_least", "at_most"), [(1, 0.02, 0.7), (64, 0.7, 1.0)])
def test_the_gpus_share_is_that_of_the_traces_kernels(tmp_path, batch, at_least, at_most):
    model = build("resnet50").cuda()
    profiled, seconds = profile(model, [torch.randn(batch, 3, 224, 224, device="cuda")], steps=5)
    profiled.export_chrome_trace(str(tmp_path / "trace.json.gz"))
    found = summarise(profiled.key_averages(), "cuda", seconds)
    with gzip.open(tmp_path / "trace.json.gz") as file:
        kernels = [event["dur"] / 1e6 for event in json.load(file)["traceEvents"] if event.get("cat") == "kernel"]
    assert found["gpu_utilisation"] == pytest.approx(min(1, sum(kernels) / seconds.wall), rel=0.05)
    assert sum(each["self_ms"] for each in found["operators"]) == pytest.approx(1e3 * sum(kernels), rel=0.05)
    assert at_least < found["gpu_utilisation"] <= at_most
    assert found["operators"][0]["name"] == "aten::cudnn_convolution"
    assert {each["calls"] for each in found["operators"] if "convolution" in each["name"]} == {53 * 5}
    assert seconds.wall <= seconds.profiled_wall
