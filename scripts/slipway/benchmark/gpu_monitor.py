"""Read a GPU's properties, and its clocks, power and temperature during a run, from NVIDIA's library NVML."""

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from slipway.core import nvml
from slipway.core.errors import SlipwayError
from slipway.core.polling import polling

# Bits of NVML's clocks-event reasons, which explain why the clocks are not higher.
REASONS = {
    0x001: "idle",
    0x002: "application clocks",
    0x004: "software power cap",
    0x008: "hardware slowdown",
    0x010: "sync boost",
    0x020: "software thermal slowdown",
    0x040: "hardware thermal slowdown",
    0x080: "hardware power brake",
    0x100: "display clocks",
    0x200: "board limit",
    0x400: "reliability",
}
# Reasons that do not slow the GPU down: nothing runs, or clocks were set.
HARMLESS = {"idle", "application clocks"}


class GpuMonitor:
    """Reads the state of the first GPU in CUDA_VISIBLE_DEVICES (clocks, power, memory), once or repeatedly.

    `readings` has the repeated readings of the last block of `watching`. It is empty if the GPU cannot be read.

    If NVML is missing or not permitted, `unavailable` has the reason; otherwise it is None. Then `facts` returns
    {"unavailable": reason}, and `used_memory_mb` returns None. An index in CUDA_VISIBLE_DEVICES counts in PCI bus
    order, as with CUDA_DEVICE_ORDER=PCI_BUS_ID.
    """

    def __init__(self, interval_seconds: float = 0.2) -> None:
        """Open NVML. `interval_seconds` is the time between repeated readings; a reading takes about a millisecond."""
        self.unavailable: str | None = None
        self._interval = interval_seconds
        self.readings: list[dict] = []
        try:
            self._library, self._device = nvml.open_device()
            self._ask = partial(nvml.query, self._library)
        except SlipwayError as error:
            self.unavailable = str(error)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Context manager: read the GPU repeatedly (see `read`) while the block runs, into `readings`.

        A block that is shorter than one interval gets one reading, at its end. If the GPU is not available, nothing is
        read.
        """
        self.readings = []
        if self.unavailable is not None:
            yield
            return
        with polling(lambda: self.readings.append(self.read()), self._interval, "gpu-monitor"):
            yield
        self.readings = self.readings or [self.read()]

    def used_memory_mb(self) -> float | None:
        """Return the GPU memory that all processes use now, in MB (10^6 bytes); None if it is unknown."""
        return None if self.unavailable is not None else self.read()["memory_used_mb"]

    def read(self) -> dict:
        """Read the GPU once. Return {quantity: value, "reasons": [why the clocks are not higher, in words]}.

        The quantities are clocks (MHz), power (W), temperature (°C) and used memory (MB), such as "power_w". A value is
        None if the GPU, the driver or the virtual machine does not report it. The GPU must be available.
        """
        library, device, ask = self._library, self._device, self._ask
        bits = ask("nvmlDeviceGetCurrentClocksEventReasons", device)
        if bits is None:  # drivers before release 535 have only this name
            bits = ask("nvmlDeviceGetCurrentClocksThrottleReasons", device)
        memory = ask("nvmlDeviceGetMemoryInfo", device)
        return {
            "sm_clock_mhz": ask("nvmlDeviceGetClockInfo", device, library.NVML_CLOCK_SM),
            "memory_clock_mhz": ask("nvmlDeviceGetClockInfo", device, library.NVML_CLOCK_MEM),
            "power_w": _thousandth(ask("nvmlDeviceGetPowerUsage", device)),
            "temperature_c": ask("nvmlDeviceGetTemperature", device, library.NVML_TEMPERATURE_GPU),
            "memory_used_mb": None if memory is None else round(memory.used / 1e6, 1),
            "reasons": None if bits is None else reasons_of(bits),
        }

    def facts(self) -> dict:
        """Return {name: value} of the properties that do not change during a run: GPU, driver, highest clocks, limits.

        If the GPU cannot be read, return {"unavailable": reason}.
        """
        if self.unavailable is not None:
            return {"unavailable": self.unavailable}
        library, device, ask = self._library, self._device, self._ask
        memory = ask("nvmlDeviceGetMemoryInfo", device)
        return {
            "name": ask("nvmlDeviceGetName", device),
            "compute_capability": nvml.compute_capability(library, device),
            "driver": ask("nvmlSystemGetDriverVersion"),
            "driver_cuda": cuda_version(ask("nvmlSystemGetCudaDriverVersion")),
            "memory_mb": None if memory is None else round(memory.total / 1e6),
            "max_sm_clock_mhz": ask("nvmlDeviceGetMaxClockInfo", device, library.NVML_CLOCK_SM),
            "max_memory_clock_mhz": ask("nvmlDeviceGetMaxClockInfo", device, library.NVML_CLOCK_MEM),
            "power_limit_w": _thousandth(ask("nvmlDeviceGetEnforcedPowerLimit", device)),
            "pcie_max_generation": ask("nvmlDeviceGetMaxPcieLinkGeneration", device),
            "pcie_max_width": ask("nvmlDeviceGetMaxPcieLinkWidth", device),
            "ecc": _switched_on(ask("nvmlDeviceGetEccMode", device)),
            "mig": _switched_on(ask("nvmlDeviceGetMigMode", device)),
        }


def reasons_of(bits: int) -> list[str]:
    """Return in words why the GPU's clocks are not higher: one reason for each bit that is set in NVML's `bits`."""
    unknown = bits & ~sum(REASONS)
    words = REASONS | {unknown: f"unknown reason {unknown:#x}"}
    return [word for bit, word in words.items() if bits & bit]


def summarise_readings(readings: Sequence[dict]) -> dict:
    """Return a summary of GPU readings, of which there is at least one (see `GpuMonitor.read`).

    It is {quantity: {"min", "median", "max"} or None, "readings": their number, "clock_reasons", "throttled"}.
    "clock_reasons" is {reason why the clocks are not higher: share (0..1) of the readings}. "throttled": whether any
    reading has a reason that slows the GPU down. Both are None if the GPU does not report reasons.
    """
    reported = [reading["reasons"] for reading in readings if reading["reasons"] is not None]
    counts = Counter(reason for reasons in reported for reason in reasons)
    return {
        "readings": len(readings),
        **{name: _spread([reading[name] for reading in readings]) for name in readings[0] if name != "reasons"},
        "clock_reasons": {name: round(count / len(reported), 3) for name, count in counts.most_common()}
        if reported
        else None,
        "throttled": bool(set(counts) - HARMLESS) if reported else None,
    }


def cuda_version(number: int | None) -> str | None:
    """Return NVML's number of a CUDA version as text: "13.2" for 13020; None for None."""
    return None if number is None else f"{number // 1000}.{number % 1000 // 10}"


def _spread(values: Sequence[float | None]) -> dict | None:
    known_values = [value for value in values if value is not None]
    if not known_values:
        return None
    return {"min": min(known_values), "median": round(statistics.median(known_values), 1), "max": max(known_values)}


def _thousandth(value: float | None) -> float | None:
    return None if value is None else value / 1e3


def _switched_on(modes: Sequence[int] | None) -> bool | None:
    """Say whether a mode is on now; None if unknown. NVML's `modes` are [now, after the next restart]."""
    return None if modes is None else bool(modes[0])
