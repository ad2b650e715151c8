"""The figures of README and of docs/measurements/README.md are those of the records that they name."""

from copy import deepcopy
from statistics import median

import pytest
from helpers.workplace import REPOSITORY
from jinja2 import UndefinedError

import write_figures
from slipway.core.artifacts import read_json
from slipway.core.errors import SlipwayError

FIRST, MEASUREMENTS = (
    (REPOSITORY / name).read_text(encoding="utf-8") for name in ("README.md", "docs/measurements/README.md")
)
RECORDS = write_figures.records()
TABLES = write_figures.tables_of(RECORDS)
CLOSED = [
    {"precision": name, "concurrency": 4, "throughput_per_s": rate}
    for name, rate in (("int8", 99.96), ("fp32", 20.04), ("int8", 70.0))
]
OPEN = {"capacity_per_s": 80.0, "verdict": "steady"}


@pytest.fixture
def records():
    """Return a copy of the records, for a test to change."""
    return deepcopy(RECORDS)


def new_lines(records):
    """Return the lines of the tables that those of the real records do not have."""
    return [line for line in write_figures.tables_of(records).splitlines() if line not in TABLES.splitlines()]


def test_both_pages_have_the_figures_of_the_records():
    assert write_figures.between_marks(MEASUREMENTS, TABLES) == MEASUREMENTS, "run `make figures`"
    assert write_figures.with_rows(FIRST, TABLES) == FIRST, "run `make figures`"


def test_a_row_of_the_first_page_gets_the_figures_of_the_row_with_its_words():
    tables = "| | |\n| --- | --- |\n| images/s (FP16): a, b | 3, 4 |"
    page = "| images/s (FP16): a, b | 1, 2 |\n| images/s | 1 |\n| --- | --- |\ntext"
    assert write_figures.with_rows(page, tables) == page.replace("1, 2", "3, 4")


def test_the_tables_are_written_between_their_marks():
    text, written = (f"before\n{write_figures.BEGIN}\n{each}\n{write_figures.END}\nafter" for each in ("old", "new"))
    assert write_figures.between_marks(text, "new") == written
    with pytest.raises(SlipwayError, match="has no lines"):
        write_figures.between_marks("before\nafter", "new")


def test_a_figure_that_a_record_lacks_is_an_error(records):
    del records["cpu"]["seconds"]["first_deploy"]
    with pytest.raises((UndefinedError, TypeError)):
        write_figures.tables_of(records)


def test_a_served_gpu_has_the_best_closed_loop_of_each_precision(records):
    loads = [
        {
            "precision": name,
            "instances": count,
            "max_batch_size": 8,
            "concurrency": 64,
            "throughput_per_s": rate,
            "p99_ms": 12.4,
        }
        for name, count, rate in (("fp16", 2, 7000.4), ("int8", 1, 8000), ("int8", 2, 9000))
    ]
    records["h200"]["resnet50"]["load_test"] = {"measurements": loads}
    best, p99 = new_lines(records)
    assert "64 in flight, each precision's best of 1 or 2 instances and batches up to 8" in best
    assert best.endswith(": FP16, INT8 | 7,000, 9,000 |")
    assert p99 == "| p99 of these requests | 12.4 ms, 12.4 ms |"


def test_a_selection_has_the_highest_rate_that_each_precision_holds_at_random_times(records):
    rates = {"fp16": [4000.0], "int8": [4700.0, 5200.2]}
    records["h200"]["resnet50.selection"]["capacity"] = {
        "configurations": [
            {"precision": name, "capacity_per_s": rate, "verdict": "steady"} for name in rates for rate in rates[name]
        ]
    }
    record = "[`resnet50.selection.json`](h200/resnet50.selection.json)"
    title = f"requests/s at random times (open loop) that 1 or 2 instances hold, p99 below 50 ms ({record}): FP16, INT8"
    row = f"| {title} | 4,000, 5,200 (steady) |"
    assert new_lines(records) == [row]


@pytest.mark.parametrize(
    ("open_loop", "held"),
    [(OPEN, "80 (steady)"), (OPEN | {"capacity_per_s": None}, "none (steady)"), (None, None)],
)
def test_a_served_model_has_its_closed_and_its_open_loop(records, open_loop, held):
    chosen = {"open_loop": open_loop, "configuration": {"precision": "int8"}, "p99_limit_ms": 2000}
    records["cpu"]["models"]["resnet50"] |= {"closed_loop": CLOSED, "chosen": chosen}
    closed, *opened = new_lines(records)
    title = "ResNet-50, random weights"
    assert closed == f"| {title}: requests/s through Triton, 4 in flight: FP32, INT8 | 20.0, 100.0 |"
    words = f"{title}: requests/s at random times (open loop) that INT8 holds, p99 below 2,000 ms"
    assert opened == ([f"| {words} | {held} |"] if held else [])


@pytest.mark.parametrize(("origin", "title"), [("rehearsal", "random"), ("checkpoint", "pretrained")])
def test_the_title_of_a_model_has_the_kind_of_its_weights(records, origin, title):
    records["cpu"]["models"]["resnet50"]["origin"] = origin
    assert f"| ResNet-50, {title} weights: images/s" in write_figures.tables_of(records)


# The cores of the machine with the H200.
CORES = 16


def test_readme_has_rows_of_that_table_as_they_are():
    lines = FIRST.splitlines()
    start = lines.index("| | |")
    rows = lines[start + 2 : lines.index("", start)]
    assert len(rows) >= 3
    assert set(rows) <= set(MEASUREMENTS.splitlines())


def test_the_first_page_stays_short():
    assert len(FIRST.splitlines()) <= 200


def test_the_measurements_that_other_work_disturbed_are_named_after_their_table(records):
    benchmarks = [model["benchmark"] for model in records["cpu"]["models"].values()]
    benchmarks[0]["disturbed"], benchmarks[1]["disturbed"] = ["int8 at batch 8"], []
    assert new_lines(records) == ["Disturbed by other work: ResNet-50 (int8 at batch 8)."]
    benchmarks[1]["disturbed"] = ["fp32", "bf16"]
    both = "Disturbed by other work: ResNet-50 (int8 at batch 8); EfficientNet-Lite0 (fp32, bf16)."
    assert new_lines(records) == [both]
    records["h200"]["resnet50"]["benchmark"]["disturbed"] = []
    assert write_figures.tables_of(records).count("Disturbed") == 1


@pytest.mark.parametrize("name", ["resnet50", "efficientnet_lite0", "text"])
def test_the_records_of_the_h100_are_not_disturbed(name):
    assert not read_json(write_figures.MEASUREMENTS / "h100" / f"{name}.json").get("benchmark", {}).get("disturbed")


@pytest.mark.parametrize(("words", "engine"), [("level 3", "base"), ("level 5", "level5"), ("first conv", "first16")])
def test_the_experiments_with_an_engine_have_the_figures_of_their_record(words, engine):
    folder = write_figures.MEASUREMENTS / "h200"
    rounds = read_json(folder / "engine.json")["inferences_per_s"]
    lines = (folder / "engine.md").read_text(encoding="utf-8").splitlines()
    [row] = [line for line in lines if line.startswith(f"| {words}")]
    medians = [f"{median(values):,.0f}" for point, values in rounds.items() if point.startswith(f"{engine}/")]
    cells = [figure for cell in row.split("|")[2:-1] for figure in cell.strip().split(" / ")]
    assert cells == medians


def test_the_page_on_serving_has_the_figures_of_the_load_test():
    lines = (write_figures.MEASUREMENTS / "h200" / "serving.md").read_text(encoding="utf-8").splitlines()
    rows = read_json(write_figures.MEASUREMENTS / "h200" / "resnet50.json")["load_test"]["measurements"]
    int8 = sorted(
        (row for row in rows if row["precision"] == "int8"), key=lambda row: (row["instances"], row["max_batch_size"])
    )
    assert [row["concurrency"] for row in int8] == [64] * 4
    expected = [
        f"| {row['instances']}, {row['max_batch_size']} | {row['throughput_per_s']:,.0f} | {row['p99_ms']:.1f} ms | "
        f"{row['compute_ms']:.1f} ms | {row['cpus_busy_percent'] * CORES * 10 / row['throughput_per_s']:.2f} ms |"
        for row in int8
    ]
    start = lines.index(expected[0])
    assert lines[start : start + len(expected)] == expected
