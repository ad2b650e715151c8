"""The figures of README and of docs/measurements/README.md are those of the records that they name."""

from statistics import median

import pytest
from helpers.workplace import REPOSITORY

import write_figures
from slipway.core.artifacts import read_json
from slipway.core.errors import SlipwayError
from slipway.tools import figures

FIRST, MEASUREMENTS = (
    (REPOSITORY / name).read_text(encoding="utf-8") for name in ("README.md", "docs/measurements/README.md")
)
ROWS = figures.on_a_gpu(write_figures.MEASUREMENTS)
CLOSED = [
    {"precision": name, "concurrency": 4, "throughput_per_s": rate}
    for name, rate in (("int8", 99.96), ("fp32", 20.04), ("int8", 70.0))
]
OPEN = {"capacity_per_s": 80.0, "verdict": "steady"}


def test_both_pages_have_the_figures_of_the_records():
    tables = write_figures.tables_of(write_figures.MEASUREMENTS)
    assert write_figures.page(MEASUREMENTS, ROWS, tables) == MEASUREMENTS, "run `make figures`"
    assert write_figures.page(FIRST, ROWS, {}) == FIRST, "run `make figures`"


@pytest.mark.parametrize("words", [words for words, _ in ROWS])
def test_the_table_has_each_row_of_a_gpu_once(words):
    assert len([line for line in MEASUREMENTS.splitlines() if line.startswith(f"| {words}")]) == 1


def test_a_row_of_a_gpu_keeps_its_words_and_gets_the_figures():
    assert write_figures.updated("| images/s (FP16): a, b | 1, 2 |", [("images/s", "3, 4")]) == (
        "| images/s (FP16): a, b | 3, 4 |"
    )
    assert write_figures.updated("| other | 1 |", [("images/s", "3, 4")]) == "| other | 1 |"


def test_a_table_is_written_between_its_marks():
    begin, end = write_figures.BEGIN.format("CPU"), write_figures.END.format("CPU")
    text, written = (f"before\n{begin}\n{each}\n{end}\nafter" for each in ("old", "new"))
    assert write_figures.page(text, [], {"CPU": "new"}) == written
    with pytest.raises(SlipwayError, match="has no lines"):
        write_figures.page("before\nafter", [], {"CPU": "new"})


LOADS = [
    {"precision": name, "concurrency": 64, "throughput_per_s": rate, "p99_ms": 12.4}
    for name, rate in (("fp16", 7000.4), ("int8", 8000), ("int8", 9000))
]


def test_a_served_gpu_has_its_best_closed_loop_and_its_open_loop():
    record = {"load_test": {"measurements": LOADS}}
    closed = figures.served_on_a_gpu(record)
    assert closed == [
        ("requests/s of one image through Triton's Python backend, 64 in flight: FP16, INT8", "7,000, 9,000"),
        ("their p99", "12 ms, 12 ms"),
    ]
    selection = {"precision": "int8", "capacity": OPEN | {"capacity_per_s": 8500}, "limits": {"p99_ms": 50}}
    assert figures.served_on_a_gpu(record | {"selection": selection})[2:] == [
        ("requests/s at random times (open loop) that INT8 holds, p99 below 50 ms", "8,500 (steady)")
    ]


@pytest.mark.parametrize(
    ("open_loop", "held"),
    [(OPEN, "80 (steady)"), (OPEN | {"capacity_per_s": None}, "none (steady)"), (None, None)],
)
def test_a_served_model_has_its_closed_and_its_open_loop(open_loop, held):
    chosen = {"open_loop": open_loop, "configuration": {"precision": "int8"}, "p99_limit_ms": 1000}
    rows = dict(figures.served_rows("a network", {"closed_loop": CLOSED, "chosen": chosen}))
    assert rows.pop("a network: requests/s through Triton, 4 in flight: FP32, INT8") == "20.0, 100.0"
    words = "a network: requests/s at random times (open loop) that INT8 holds, p99 below 1,000 ms"
    assert rows == ({words: held} if held else {})


@pytest.mark.parametrize(("origin", "title"), [("rehearsal", "random"), ("checkpoint", "pretrained")])
def test_the_title_of_a_model_has_the_kind_of_its_weights(origin, title):
    assert figures.title_of("resnet50", {"origin": origin}) == f"ResNet-50, {title} weights"


def test_readme_has_rows_of_that_table_as_they_are():
    lines = FIRST.splitlines()
    start = lines.index("| | |")
    rows = lines[start + 2 : lines.index("", start)]
    assert len(rows) >= 3
    assert set(rows) <= set(MEASUREMENTS.splitlines())


def test_the_first_page_stays_short():
    assert len(FIRST.splitlines()) <= 200


def test_what_other_work_disturbed_is_named_after_its_table():
    benchmarks = {"ResNet-50": {"disturbed": ["int8 at batch 8"]}, "EfficientNet-Lite0": {}}
    assert write_figures.disturbed(benchmarks) == ["", "Disturbed by other work: ResNet-50 (int8 at batch 8)."]
    assert write_figures.disturbed({"ResNet-50": {"disturbed": []}}) == []


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
