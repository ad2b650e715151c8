import subprocess
import sys
import time

import pytest

from slipway.core.hardware import usable_cores
from slipway.load_test.interference import Interference
from slipway.load_test.limits import gaps_in_words, is_crowded

POINT = {"precision": "fp32", "instances": 1, "max_batch_size": 8, "concurrency": 4, "verdict": "steady"}
COMPUTE = "import time\nend = time.monotonic() + 0.6\nwhile time.monotonic() < end: pass"
# A process that is no child of this one, as those of others are.
FOREIGN = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {COMPUTE!r}], start_new_session=True)"


def watched(program):
    """Return the monitor of a point in which a process computes for 0.6 s."""
    interference = Interference()
    begin = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", program]):
        while time.monotonic() < begin + 1:
            time.sleep(0.1)
            interference.read()
    return interference


def test_the_cpu_time_of_own_processes_is_not_that_of_others():
    own = watched(COMPUTE)
    spent = sum(own._readings.own.values()) - sum(own._readings.own_before.values())
    assert spent > 0
    assert 0 <= own.figures()["others_cpu_percent"] <= 100
    assert "gpu_state" not in own.figures()


def test_a_point_begins_without_the_readings_of_the_one_before():
    interference = watched(COMPUTE)
    interference.restart()
    assert interference._readings.own == interference._readings.own_before
    assert interference._readings.end == interference._readings.begin


def test_foreign_work_is_counted_as_that_of_others():
    spent = watched(FOREIGN)._readings
    seconds, busy = (end - begin for begin, end in zip(spent.begin, spent.end, strict=True))
    own = sum(spent.own.values()) - sum(spent.own_before.values())
    assert busy - own > 0
    assert seconds * usable_cores() * 1.1 > busy


@pytest.mark.parametrize(
    ("others", "busy", "crowded"), [(40.0, 99.0, True), (40.0, 60.0, False), (5.0, 99.0, False), (None, None, False)]
)
def test_what_others_take_disturbs_only_where_it_is_missing(others, busy, crowded):
    assert is_crowded({"others_cpu_percent": others, "cpus_busy_percent": busy}) == crowded


@pytest.mark.parametrize(
    ("reading", "told"),
    [
        ({"others_cpu_percent": 40.0}, "measured while other programs took more than 10 % of the CPUs: (fp32, 1 inst"),
        (
            {"others_cpu_percent": 4.0, "gpu_state": {"throttled": True}},
            "measured while the GPU reduced its clocks: (f",
        ),
        ({"others_cpu_percent": None, "gpu_state": None}, None),
        ({}, None),
    ],
)
def test_interference_is_told(reading, told):
    words = gaps_in_words([], [POINT | reading], None)
    assert (words is None) if told is None else words.startswith(told)


def test_a_sentence_names_all_points_at_once():
    disturbed = [POINT | {"verdict": "disturbed", "concurrency": number} for number in (1, 4)]
    assert gaps_in_words([], disturbed, None) == "disturbed: all 2 points"
    assert gaps_in_words([], [*disturbed, POINT], None).count("in flight") == 2
