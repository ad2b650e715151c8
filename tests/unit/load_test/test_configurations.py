import pytest

from slipway.load_test.configurations import is_chosen, ranked, remarks


def row(instances, concurrency, throughput, p99_ms, **more):
    fixed = {"precision": "fp16", "max_batch_size": 8, "memory_mb": 500.0, "gpu_memory_mb": 900.0}
    measured = {"throughput_per_s": throughput, "p99_ms": p99_ms, "verdict": "steady"}
    return {"instances": instances, "concurrency": concurrency, **fixed, **measured, **more}


SLOW, FAST = row(1, 1, 100.0, 5.0), row(1, 8, 300.0, 50.0)
OTHER, LATE = row(2, 1, 200.0, 9.0), row(3, 1, 900.0, 70.0)
ROWS = [LATE, FAST, OTHER, SLOW]


def selection(measured=SLOW, goal="cheapest", loss=None, **limits):
    losses = {"fp16": {"kind": "top1_drop", "loss": loss}}
    return {"measured": measured, "limits": {"p99_ms": 10.0} | limits, "goal": {"name": goal}, "accuracy_loss": losses}


def test_configurations_within_the_limits_come_first_each_by_its_fastest_measurement_there():
    found = ranked(ROWS, selection())
    assert [each.best for each in found] == [OTHER, SLOW, LATE]
    assert [list(each.rows) for each in found] == [[OTHER], [SLOW, FAST], [LATE]]
    assert [each.best for each in ranked(ROWS, selection(p99_ms=100.0, measured=OTHER))] == [LATE, FAST, OTHER]


def test_the_chosen_measurement_stands_for_its_configuration():
    assert ranked([SLOW, FAST], selection(SLOW, p99_ms=100.0))[0].best == SLOW


def test_the_goal_says_which_configuration_comes_first():
    assert [each.best for each in ranked(ROWS, selection(goal="fastest"))] == [SLOW, OTHER, LATE]
    exact = OTHER | {"precision": "fp32"}
    chosen = selection(goal="most_accurate", loss=0.01)
    chosen["accuracy_loss"]["fp32"] = {"loss": 0.0}
    assert ranked([row(4, 1, 999.0, 1.0), exact], chosen)[0].best == exact


def test_noise_wins_nothing():
    noisy = row(4, 1, 999.0, 1.0, verdict="disturbed", windows_per_s=[50.0, 2000.0])
    assert [each.best for each in ranked([noisy, OTHER], selection())] == [OTHER, noisy]


def test_a_configuration_is_known_by_its_values_and_not_by_the_names_of_model_analyzer():
    rows = [SLOW | {"variant": "m_config_default"}, FAST | {"variant": "m_config_0"}]
    (configuration,) = ranked(rows, selection())
    assert configuration.rows == rows
    assert configuration.words == "fp16, 1 instance, batches up to 8"


@pytest.mark.parametrize(
    ("measured", "limits", "expected"),
    [
        (SLOW, {}, ["chosen"]),
        (FAST, {}, ["p99 above the limit"]),
        (OTHER | {"verdict": "disturbed", "shortened": True}, {}, ["disturbed", "short windows"]),
        (OTHER, {"memory_mb": 899.0}, ["memory above the limit"]),
        (OTHER | {"gpu_memory_mb": None}, {"memory_mb": 899.0}, ["memory not measured"]),
        (OTHER | {"gpu_memory_mb": None}, {}, []),
        (OTHER, {"min_throughput_per_s": 250.0}, ["throughput below the limit"]),
        (OTHER, {"max_accuracy_loss": 0.01, "loss": 0.02}, ["accuracy loss above the limit"]),
        (OTHER, {"max_accuracy_loss": 0.01}, ["accuracy loss not measured"]),
        (OTHER | {"gpu_state": {"throttled": True}}, {}, ["GPU throttled"]),
    ],
)
def test_remarks_say_what_there_is_to_know_of_a_measurement(measured, limits, expected):
    assert remarks(measured, selection(**limits)) == expected


def test_the_choice_is_known_by_configuration_and_requests_in_flight():
    assert is_chosen(SLOW, selection(SLOW))
    assert not is_chosen(FAST, selection(SLOW))
    assert not is_chosen(OTHER, selection(SLOW))
