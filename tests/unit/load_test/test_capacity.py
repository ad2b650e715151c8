from functools import partial

import pytest

from slipway.core.steadiness import DISTURBED, STEADY
from slipway.load_test.capacity import (
    BREAKS,
    DECISION,
    HOLDS,
    NOT_SENT,
    TIME,
    capacity,
    in_words,
    judged,
    next_rate,
    search,
)

LIMIT_MS = 100


def point(asked, sent=None, answered=None, tail_ms=20.0, requests=1000, verdict=STEADY):
    sent = asked if sent is None else sent
    made = {
        "asked_per_s": asked,
        "sent_per_s": sent,
        "answered_per_s": sent if answered is None else answered,
        "requests": requests,
        "tail_ms": tail_ms,
        "tail_percentile": min(99, int(100 - 100 / requests)) if requests else None,
        "verdict": verdict,
    }
    return judged(made, LIMIT_MS)


class Server:
    """A stand-in that answers up to `most` requests/s, and counts what it is asked."""

    def __init__(self, most, time_for=100, **others):
        self.most, self.left, self.others, self.asked = most, time_for, others, []

    def measure(self, rate):
        self.left -= 1
        self.asked.append(rate)
        return point(rate, answered=min(rate, self.most), **self.others)

    def has_time(self, _):
        return self.left > 0


def given(rates):
    """Return the function of the next rate where all rates are given."""
    left = iter(rates)
    return lambda _: next(left, None)


def found(server, first=100.0, needed=None):
    return capacity(*search(server.measure, partial(next_rate, first=first), server.has_time, needed))


@pytest.mark.parametrize("most", [30, 79, 80, 100, 140, 700])
def test_the_capacity_lies_between_close_bounds(most):
    server = Server(most)
    result = found(server)
    assert 0.85 * most <= result["capacity_per_s"] <= 1.06 * most
    assert result["breaks_at"]["sent_per_s"] > most
    assert (result["verdict"], result["why"], result["limited_by"]) == (STEADY, None, None)
    assert len(server.asked) <= 9


@pytest.mark.parametrize("most", [95, 100, 106])
def test_a_server_about_as_fast_as_in_the_closed_loop_takes_two_points(most):
    server = Server(most)
    found(server)
    assert len(server.asked) == 2


def test_what_does_not_hold_the_rate_that_is_needed_is_measured_no_further():
    server = Server(80)
    result = found(server, needed=100)
    assert server.asked == [100]
    assert (result["capacity_per_s"], result["limited_by"], result["breaks_at"]["asked_per_s"]) == (None, DECISION, 100)
    assert "a smaller configuration holds about as many, so fewer were not tried" in in_words(result, LIMIT_MS)


def test_what_holds_the_rate_that_is_needed_gets_its_capacity():
    assert found(Server(130), needed=100)["capacity_per_s"] >= 112


def test_a_disturbed_point_decides_nothing():
    result = found(Server(80, verdict=DISTURBED), needed=100)
    assert result["limited_by"] is None
    assert 65 <= result["capacity_per_s"] <= 81


def test_a_server_that_never_holds_has_no_capacity():
    result = found(Server(0.1))
    assert result["capacity_per_s"] is None
    assert "not even" in in_words(result, LIMIT_MS)
    assert "a queue grows" in in_words(result, LIMIT_MS)


def test_a_server_that_always_holds_has_no_upper_bound():
    result = found(Server(1e9))
    assert result["capacity_per_s"] > 900
    assert result["breaks_at"] is None
    assert "no higher rate was measured" in in_words(result, LIMIT_MS)


def test_without_time_the_bounds_stay_apart_and_say_so():
    result = found(Server(125, time_for=3))
    assert (result["capacity_per_s"], result["breaks_at"]["sent_per_s"]) == (pytest.approx(112), pytest.approx(140))
    assert result["limited_by"] == "time"


def test_without_any_time_nothing_is_known():
    result = found(Server(100, time_for=0))
    assert (result["capacity_per_s"], result["limited_by"]) == (None, "time")
    assert in_words(result, LIMIT_MS) == "no rate was measured"


def test_a_disturbed_point_is_measured_again_and_the_steady_one_counts():
    verdicts = iter([DISTURBED, STEADY, *[STEADY] * 10])

    def measure(rate):
        verdict = next(verdicts)
        return point(rate, answered=20 if verdict == DISTURBED else min(rate, 100), verdict=verdict)

    points, ended_by = search(measure, partial(next_rate, first=80), lambda _: True)
    assert [each["asked_per_s"] for each in points[:2]] == [80, 80]
    result = capacity(points, ended_by)
    assert (result["verdict"], result["capacity_per_s"] > 85) == (STEADY, True)


def test_what_stays_disturbed_is_called_so():
    result = found(Server(100, verdict=DISTURBED))
    assert result["verdict"] == DISTURBED
    assert "other programs took the CPUs" in in_words(result, LIMIT_MS)


def test_a_higher_rate_that_held_is_a_contradiction():
    points = [point(80), point(100, answered=60), point(120)]
    result = capacity(points)
    assert (result["capacity_per_s"], result["verdict"]) == (80, DISTURBED)
    assert result["why"] == "a higher rate held than one that broke"


def test_of_two_that_contradict_each_other_at_one_rate_neither_is_trusted():
    noisy = [point(80), point(100, verdict=DISTURBED), point(100, answered=60, verdict=DISTURBED)]
    assert capacity(noisy)["verdict"] == DISTURBED


@pytest.mark.parametrize(
    ("measured", "outcome"),
    [
        ({"asked": 100}, HOLDS),
        ({"asked": 100, "tail_ms": 101}, BREAKS),
        ({"asked": 100, "answered": 94}, BREAKS),
        ({"asked": 100, "answered": 97, "requests": 100}, HOLDS),  # three requests were on their way at the end
        ({"asked": 100, "answered": 90, "requests": 20}, HOLDS),
        ({"asked": 100, "requests": 0}, BREAKS),
        ({"asked": 100, "sent": 70}, NOT_SENT),
        ({"asked": 100, "sent": 70, "answered": 60}, BREAKS),
        ({"asked": 100, "sent": 70, "tail_ms": 500}, BREAKS),
    ],
)
def test_a_point_is_judged_by_its_tail_its_queue_and_what_was_sent(measured, outcome):
    assert point(**measured)["outcome"] == outcome


def test_without_a_limit_only_a_growing_queue_breaks():
    slow = {"asked_per_s": 100, "sent_per_s": 100, "answered_per_s": 100, "requests": 1000, "tail_ms": 1e6}
    found = judged(slow | {"tail_percentile": 99, "verdict": STEADY}, None)
    assert found["outcome"] == HOLDS
    assert judged(found | {"answered_per_s": 60}, None)["outcome"] == BREAKS
    none = capacity([judged(found | {"answered_per_s": 60}, None)])
    assert in_words(none, None).startswith("not even 100 requests/s hold: a queue grows")


def test_what_perf_analyzer_could_not_send_is_not_the_servers_capacity():
    sent = Server(1e9)
    sent.measure = lambda rate: point(rate, sent=min(rate, 150))
    result = found(sent)
    assert (result["limited_by"], result["breaks_at"]) == ("perf_analyzer", None)
    assert result["capacity_per_s"] <= 150
    assert "perf_analyzer could not send more, so the server may take more" in in_words(result, LIMIT_MS)


def test_without_longer_waits_no_queue_grows_whatever_perf_analyzer_reports():
    counted_twice = {"asked_per_s": 100, "sent_per_s": 100, "answered_per_s": 80, "requests": 1000, "tail_ms": 20.0}
    equal, longer = [20.0, 20.0, 19.0], [20.0, 200.0, 400.0]
    for means_ms, outcome, sent in ((equal, NOT_SENT, 80), (longer, BREAKS, 100)):
        found = judged(counted_twice | {"windows_mean_ms": means_ms, "tail_percentile": 99}, LIMIT_MS)
        assert (found["outcome"], found["sent_per_s"]) == (outcome, sent)


@pytest.mark.parametrize(
    ("late_percent", "answered", "doubted"),
    [(10.6, 5000.0, True), (0.5, 5000.0, False), (10.6, 4000.0, False)],
    ids=["late and slow", "slow", "late and a growing queue"],
)
def test_a_p99_that_broke_when_requests_came_late_is_a_doubt_about_the_server(late_percent, answered, doubted):
    """As on an H200, whose 16 CPUs perf_analyzer shared with the server; a queue that grows is the server's own."""
    tail = {"requests": 14_000, "tail_percentile": 99, "verdict": STEADY}
    holds = {"asked_per_s": 4488, "sent_per_s": 4488, "answered_per_s": 4432, "tail_ms": 36, "delayed_percent": 8.9}
    breaks = {"asked_per_s": 5018, "sent_per_s": 5018, "answered_per_s": answered, "tail_ms": 168}
    points = [judged(each | tail, LIMIT_MS) for each in (holds, breaks | {"delayed_percent": late_percent})]
    result = capacity(points)
    assert (result["verdict"] == DISTURBED, "the server may take more" in in_words(result, LIMIT_MS)) == (doubted,) * 2


def test_high_rates_are_written_as_people_write_them():
    result = found(Server(10_000), first=12_075.0)
    assert "e+" not in in_words(result, LIMIT_MS)


def test_too_few_samples_for_p99_are_told():
    result = found(Server(100, requests=40))
    assert "there were too few samples for p99" in result["why"]
    assert "with p97 20 ms" in in_words(result, LIMIT_MS)


def test_given_rates_are_all_measured_in_the_time():
    server = Server(100)
    points, ended_by = search(server.measure, given([50, 90, 200]), server.has_time)
    assert ([each["outcome"] for each in points], ended_by) == ([HOLDS, HOLDS, BREAKS], None)
    assert capacity(points)["capacity_per_s"] == 90
    assert search(server.measure, given([50]), lambda _: False) == ([], TIME)
