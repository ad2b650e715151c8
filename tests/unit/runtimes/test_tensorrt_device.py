"""The GPU as the bindings show it, over stand-ins; tests/gpu runs it on a GPU."""

import sys

import pytest

from slipway.runtimes.tensorrt import device


def test_every_binding_describes_and_runs_the_gpu(gpu):
    found = device.open_device()
    assert (found.name, found.compute_capability, found.driver_cuda) == ("Stand-in GPU", "9.0", 13000)
    assert found.free_and_total() == (gpu.free, gpu.total)
    assert device.gpu_here() == "Stand-in GPU (compute capability 9.0)"
    described = device.describe_gpu()
    assert (described["name"], described["driver_cuda"]) == ("Stand-in GPU", "13.0")
    assert described["memory_bytes"] == gpu.total
    with pytest.raises(ValueError, match="stop other programs that use it"):
        found.allocate(gpu.free + 1)
    found.close()
    with pytest.raises(ValueError, match="no usable GPU"):
        device.open_device(index=1)


def test_no_binding_is_told(with_bindings):
    with_bindings()
    with pytest.raises(ValueError, match=r"neither can be imported \(pycuda: .*cuda-bindings: "):
        device.open_device()


def test_no_driver_is_told(with_bindings, monkeypatch):
    with_bindings("cuda-bindings")

    def no_library(_):
        raise RuntimeError('"cuda" is an NVIDIA driver library')  # as cuda-bindings 13 does

    monkeypatch.setattr(sys.modules["cuda.bindings.driver"], "cuInit", no_library)
    with pytest.raises(ValueError, match="no usable GPU"):
        device.open_device()


def test_a_closed_device_leaves_no_context_current(with_bindings, monkeypatch):
    with_bindings("cuda-bindings")
    driver, said = sys.modules["cuda.bindings.driver"], []
    for name in ("cuCtxSetCurrent", "cuDevicePrimaryCtxRelease"):
        call = getattr(driver, name)
        monkeypatch.setattr(driver, name, lambda value, name=name, call=call: said.append((name, value)) or call(value))
    device.gpu_here()
    assert said == [("cuCtxSetCurrent", 1), ("cuCtxSetCurrent", 0), ("cuDevicePrimaryCtxRelease", 0)]
