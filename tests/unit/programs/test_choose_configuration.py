import json

import pytest

from choose_configuration import choose, main, parse_arguments, reason_of
from slipway.core.errors import SlipwayError


def row(throughput=100.0, p99=50.0, memory=200.0, instances=1, batch=8, **others) -> dict:
    return {
        "precision": "fp32",
        "variant": "m_fp32_config_0",
        "instances": instances,
        "max_batch_size": batch,
        "concurrency": 4,
        "throughput_per_s": throughput,
        "p99_ms": p99,
        "memory_mb": memory,
        **others,
    }


def test_the_most_throughput_is_chosen():
    slow, fast = row(50), row(100, instances=4)
    assert choose([slow, fast], 1000, None) is fast


def test_the_cheaper_of_equals_is_chosen():
    dear, cheap = row(100, instances=2), row(95.1, instances=1)
    assert choose([dear, cheap], 1000, None) is cheap
    assert choose([cheap, dear], 1000, None) is cheap


def test_beyond_ten_percent_the_faster_is_chosen():
    dear, cheap = row(100, instances=2), row(89.9, instances=1)
    assert choose([dear, cheap], 1000, None) is dear


def windowed(windows, verdict="steady", **others):
    return row(sum(windows) / len(windows), windows_per_s=windows, verdict=verdict, **others)


BEST = windowed([90.0, 100.0, 110.0], instances=2)


def test_an_order_within_the_noise_of_the_windows_is_no_order():
    overlapping, apart = windowed([70.0, 80.0, 91.0]), windowed([70.0, 80.0, 89.0])
    assert choose([BEST, overlapping], 1000, None) is overlapping
    assert "within the noise of the most that any configuration answers under the limits (100.0/s by fp32, 2 " in (
        reason_of(overlapping, BEST)
    )
    assert choose([BEST, apart], 1000, None) is BEST


def test_what_is_disturbed_does_not_win_by_its_noise():
    noisy = windowed([20.0, 30.0, 200.0], verdict="disturbed")
    assert choose([BEST, noisy], 1000, None) is BEST
    assert "disturbed" not in reason_of(BEST, BEST)
    assert "disturbed the measurement of fp32, 1 instance(s), batches up to 8, 4 in flight: test again" in (
        reason_of(noisy, noisy)
    )


@pytest.mark.parametrize(
    ("dear", "cheap"),
    [
        (row(instances=2, batch=1, memory=1, p99=1), row(instances=1, batch=8, memory=9, p99=9)),
        (row(batch=8, memory=1, p99=1), row(batch=4, memory=9, p99=9)),
        (row(memory=9, p99=1), row(memory=1, p99=9)),
        (row(p99=9), row(p99=1)),
    ],
    ids=["instances", "batch size", "memory", "latency"],
)
def test_ties_go_to_few_instances_then_small_batches_then_little_memory(dear, cheap):
    assert choose([dear, cheap], 1000, None) is cheap


def test_the_latency_limit_is_respected():
    fast, slow = row(100, p99=51), row(10, p99=50)
    assert choose([fast, slow], 50, None) is slow


def test_the_memory_limit_is_respected():
    fast, slow = row(100, memory=301), row(10, memory=300)
    assert choose([fast, slow], 1000, 300) is slow
    assert choose([fast, slow], 1000, None) is fast


def test_on_a_gpu_the_limit_is_about_the_gpus_memory():
    fast, slow = row(100, memory=1, gpu_memory_mb=301), row(10, memory=999, gpu_memory_mb=300)
    assert choose([fast, slow], 1000, 300) is slow


def test_memory_of_the_gpu_that_was_not_seen_holds_no_limit():
    with pytest.raises(SlipwayError, match=r"no configuration holds.* and memory that was not seen"):
        choose([row(memory=1, gpu_memory_mb=None)], 1000, 300)


def test_the_best_is_sought_among_those_within_the_limits():
    beyond, first, second = row(1000, p99=99), row(100, instances=2), row(96, instances=1)
    assert choose([beyond, first, second], 60, None) is second


def test_none_within_the_limits_is_told_with_figures():
    rows = [row(p99=300, memory=700, variant="m_fp32_config_3"), row(p99=400, memory=100)]
    with pytest.raises(SlipwayError) as caught:
        choose(rows, 20, 500)
    for words in ("20 ms", "500 MB", "m_fp32_config_3", "300 ms", "700 MB", "load_test.p99_limit_ms"):
        assert words in str(caught.value)


def test_none_within_the_limits_without_a_memory_limit():
    with pytest.raises(SlipwayError, match="any MB"):
        choose([row(p99=300)], 20, None)


def test_no_measurement_at_all_is_told():
    with pytest.raises(SlipwayError):
        choose([], 1000, None)


# The program


def write(folder, name: str, content: dict) -> str:
    path = folder / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


@pytest.fixture
def chosen(tmp_path):
    """Return a function that chooses among rows, for engines of some precisions, and returns the record."""

    def run(rows: list[dict], precisions: list[str], *options: str) -> dict:
        load_test = write(tmp_path, "load_test.json", {"origin": "rehearsal", "measurements": rows})
        accuracy = [
            write(
                tmp_path,
                f"{name}.json",
                {"engine_key": {"precision": name}, "limits": {"min_cosine": len(name)}, "proven_on_labels": False},
            )
            for name in precisions
        ]
        output = tmp_path / "selection.json"
        argv = ["--load-test", load_test, "--accuracy", *accuracy, "--output", str(output), "--p99-limit-ms", "1000"]
        main(parse_arguments([*argv, *options]))
        return json.loads(output.read_text(encoding="utf-8"))

    return run


def test_the_record_says_what_is_served_and_why(chosen):
    found = chosen([row(100), row(200, precision="bf16", instances=2)], ["fp32", "bf16"], "--memory-limit-mb", "900")
    assert (found["precision"], found["instances"], found["max_batch_size"]) == ("bf16", 2, 8)
    assert found["origin"] == "rehearsal"
    assert found["limits"] == {"p99_ms": 1000, "memory_mb": 900}
    assert found["measured"]["throughput_per_s"] == 200
    assert found["chosen_from"]["measurements"] == 2
    assert "bf16 with 2 instance(s)" in found["reason"]


def test_an_engine_whose_accuracy_is_not_proven_is_not_chosen(chosen):
    found = chosen([row(100), row(200, precision="bf16")], ["fp32"])
    assert found["precision"] == "fp32"
    assert found["chosen_from"]["measurements"] == 1
