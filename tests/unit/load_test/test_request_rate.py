from pathlib import Path

import pytest

from slipway.load_test.request_rate import Sender, intervals_us, read_point
from slipway.triton.client.ports import Ports

# What perf_analyzer 2.51 wrote for a small model: at a rate that its server takes, and at five times as much.
REAL = Path(__file__).parent / "perf_analyzer"


def real_point(name, rate):
    texts = [(REAL / f"{name}.{suffix}").read_text(encoding="utf-8") for suffix in ("txt", "csv")]
    return read_point(*texts, rate)


def test_a_rate_that_the_server_takes_is_answered_as_sent():
    point = real_point("steady", 50.0)
    assert (point["sent_per_s"], point["delayed_percent"]) == (50, 0), "no request was sent late, so nothing is said"
    assert point["answered_per_s"] == 49.344
    assert point["windows_per_s"] == [46.1236, 56.0191, 45.8971]
    assert (point["p50_ms"], point["p99_ms"]) == (4.118, 33.48)
    assert (point["queue_ms"], point["compute_ms"]) == (0.058, 2.269)


def test_of_too_many_requests_all_are_sent_and_some_answered():
    point = real_point("overloaded", 1200.0)
    assert (point["sent_per_s"], point["answered_per_s"], point["requests"]) == (1200, 219.686, 457)
    assert point["windows_mean_ms"] == sorted(point["windows_mean_ms"]), "the queue grows"


def test_more_than_the_schedule_has_is_never_sent():
    said, table = ((REAL / f"overloaded.{suffix}").read_text(encoding="utf-8") for suffix in ("txt", "csv"))
    # On an H200, perf_analyzer reported 20,506 requests/s of 12,075: it also counted what it sent between windows.
    inflated = said.replace("Avg send request rate: 1200.86", "Avg send request rate: 2051.57")
    assert inflated != said
    assert read_point(inflated, table, 1200.0)["sent_per_s"] == 1200


def test_percentiles_that_the_samples_do_not_carry_are_absent():
    said, table = ((REAL / f"steady.{suffix}").read_text(encoding="utf-8") for suffix in ("txt", "csv"))
    assert real_point("steady", 50.0)["tail_percentile"] == 99
    few = read_point(said.replace("Request count: 119", "Request count: 15"), table, 50.0)
    assert "p90_ms" in few
    assert not {"p95_ms", "p99_ms"} & set(few)
    assert (few["tail_ms"], few["tail_percentile"]) == (33.48, 93)


@pytest.mark.parametrize(("rate", "seconds"), [(50.0, 2.0), (3000.0, 2.0), (0.5, 20.0)])
def test_the_intervals_add_up_to_the_time_and_vary_like_random_arrivals(rate, seconds):
    intervals = intervals_us(rate, seconds)
    assert len(intervals) == round(rate * seconds)
    assert sum(intervals) == pytest.approx(seconds * 1e6, rel=0.01)
    mean = sum(intervals) / len(intervals)
    spread = (sum((each - mean) ** 2 for each in intervals) / len(intervals)) ** 0.5
    assert spread == pytest.approx(mean, rel=0.35), "the standard deviation of exponential intervals is their mean"


def test_requests_do_not_wait_for_earlier_ones(tmp_path):
    sender = Sender("m", Ports(None, 1, 2), tmp_path)
    command = sender.command(tmp_path / "times", 3.6)
    assert "--async" in command, "else perf_analyzer has as many requests in flight as threads"
    assert command[command.index("--measurement-interval") + 1] == "1000"
