import os

import pytest

from slipway.core import hardware
from slipway.core.errors import SlipwayError

X86 = """processor\t: 0
model name\t: AMD EPYC 9R14
flags\t\t: fpu avx2 avx512f avx512_bf16 sse4_2

processor\t: 1
model name\t: another
flags\t\t: amx_bf16
"""
ARM = """processor\t: 0
Features\t: fp asimd bf16 i8mm
CPU implementer\t: 0x41
"""


@pytest.fixture
def cpu_of(monkeypatch):
    """Return what is found on a machine whose /proc/cpuinfo is the given text."""

    def found(text: str) -> dict:
        monkeypatch.setattr(hardware, "_cpuinfo", lambda: text)
        return hardware.cpu.__wrapped__()

    return found


def test_an_x86_cpu(cpu_of):
    found = cpu_of(X86)
    assert found["name"] == "AMD EPYC 9R14"
    assert found["instruction_sets"] == ["avx2", "avx512f", "avx512_bf16"]


def test_an_arm_cpu(cpu_of):
    found = cpu_of(ARM)
    assert found["name"]
    assert found["instruction_sets"] == ["bf16", "i8mm"]


def test_a_machine_without_cpuinfo_still_has_a_name(cpu_of):
    found = cpu_of("")
    assert found["name"]
    assert found["instruction_sets"] == []


def test_the_instruction_sets_with_bf16_are_among_those_looked_for():
    assert set(hardware.INSTRUCTION_SETS) >= hardware.BF16_INSTRUCTION_SETS


def test_the_cores_are_those_that_this_process_may_use():
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert hardware.usable_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert hardware.usable_cores() == len(allowed)


def test_the_identity_is_one_line_with_name_and_cores():
    identity = hardware.cpu_identity()
    assert "\n" not in identity
    assert identity.startswith(hardware.cpu()["name"])
    assert identity.endswith(f"x{hardware.cpu()['cores']}")


def test_the_planned_cpu_is_accepted():
    hardware.require_hardware(hardware.cpu_identity())


def test_another_cpu_is_refused_with_both_names():
    with pytest.raises(SlipwayError, match=r"config\.yaml") as caught:
        hardware.require_hardware("Some CPU [avx2] x96")
    assert "Some CPU [avx2] x96" in str(caught.value)
    assert hardware.cpu_identity() in str(caught.value)
