from pathlib import Path

import pytest

from slipway.benchmark.gpu_monitor import (
    GpuMonitor,
    cuda_version,
    reasons_of,
    summarise_readings,
)
from slipway.core.errors import SlipwayError
from slipway.core.nvml import visible_device

WITHOUT_A_DRIVER = pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="this machine has an NVIDIA GPU")


def reading(sm_clock_mhz=None, power_w=None, reasons=None):
    quantities = {"memory_clock_mhz": 2600, "temperature_c": 40, "memory_used_mb": 1000.0}
    return {"sm_clock_mhz": sm_clock_mhz, "power_w": power_w, **quantities, "reasons": reasons}


def test_reasons_in_words():
    assert reasons_of(0) == []
    assert reasons_of(0x1) == ["idle"]
    assert reasons_of(0x4 | 0x40) == ["software power cap", "hardware thermal slowdown"]
    assert reasons_of(0x8000 | 0x8) == ["hardware slowdown", "unknown reason 0x8000"]


def test_the_words_are_those_of_nvml():
    """NVML's own constants, so that a bit cannot get another's word."""
    import pynvml

    names = {"SwPowerCap": "software power cap", "HwPowerBrakeSlowdown": "hardware power brake", "GpuIdle": "idle"}
    names |= {"ApplicationsClocksSetting": "application clocks", "DisplayClockSetting": "display clocks"}
    names |= {"SwThermalSlowdown": "software thermal slowdown", "HwThermalSlowdown": "hardware thermal slowdown"}
    names |= {"SyncBoost": "sync boost", "HwSlowdown": "hardware slowdown"}
    for name, word in names.items():
        assert reasons_of(getattr(pynvml, f"nvmlClocksEventReason{name}")) == [word]


def test_spread_of_the_readings():
    found = summarise_readings([reading(1980, 300.0), reading(1980, 500.0), reading(1410, 700.0)])
    assert found["readings"] == 3
    assert found["sm_clock_mhz"] == {"min": 1410, "median": 1980, "max": 1980}
    assert found["power_w"] == {"min": 300, "median": 500, "max": 700}


def test_what_the_gpu_does_not_tell_is_null():
    found = summarise_readings([reading(), reading()])
    assert found["sm_clock_mhz"] is found["power_w"] is found["clock_reasons"] is found["throttled"] is None
    assert found["memory_clock_mhz"]["median"] == 2600


@pytest.mark.parametrize(
    ("reasons", "throttled"),
    [([()], False), ([("idle",), ("application clocks",)], False), ([(), ("software power cap",)], True)],
)
def test_only_what_holds_the_clocks_down_is_throttling(reasons, throttled):
    assert summarise_readings([reading(reasons=each) for each in reasons])["throttled"] is throttled


def test_share_of_the_readings_with_a_reason():
    seen = [("idle",), ("software power cap",), ("software power cap", "sync boost"), None]
    found = summarise_readings([reading(reasons=each) for each in seen])
    assert found["clock_reasons"] == {"software power cap": 0.667, "idle": 0.333, "sync boost": 0.333}


@pytest.mark.parametrize(
    ("visible", "device"), [(None, 0), ("2,0", 2), (" 1", 1), ("GPU-8a1c,1", "GPU-8a1c"), ("MIG-77", "MIG-77")]
)
def test_the_device_that_cuda_sees_first(visible, device):
    assert visible_device(visible) == device


@pytest.mark.parametrize("visible", ["", "-1", "NoDevFiles"])
def test_hidden_gpus_are_said_to_be_hidden(visible):
    with pytest.raises(SlipwayError, match="hides every GPU; unset it"):
        visible_device(visible)


def test_cuda_version_in_digits():
    assert cuda_version(13020) == "13.2"
    assert cuda_version(12000) == "12.0"
    assert cuda_version(None) is None


@WITHOUT_A_DRIVER
def test_a_machine_without_nvml_says_so_and_makes_nothing_up():
    monitor = GpuMonitor()
    with monitor.watching():
        pass
    assert "NVML says" in monitor.unavailable
    assert monitor.facts() == {"unavailable": monitor.unavailable}
    assert monitor.readings == []
    assert monitor.used_memory_mb() is None
