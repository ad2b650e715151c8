"""The figures of README and of docs/measurements/README.md are those of the records that they name."""

import pytest
from helpers.workplace import REPOSITORY

import write_figures
from slipway.core.artifacts import read_json, write_json
from slipway.core.errors import SlipwayError
from slipway.tools import figures

FIRST, MEASUREMENTS = (
    (REPOSITORY / name).read_text(encoding="utf-8") for name in ("README.md", "docs/measurements/README.md")
)
ROWS = write_figures.gpu_rows()
CLOSED = [
    {"precision": name, "concurrency": 4, "throughput_per_s": rate} for name, rate in (("fp32", 20.04), ("int8", 99.96))
]
OPEN = {"capacity_per_s": 80.0, "verdict": "steady"}


def test_both_pages_have_the_figures_of_the_records():
    assert write_figures.page(MEASUREMENTS, ROWS, write_figures.cpu_table()) == MEASUREMENTS, "run `make figures`"
    assert write_figures.page(FIRST, ROWS, None) == FIRST, "run `make figures`"


@pytest.mark.parametrize("words", [words for words, _ in ROWS])
def test_the_table_has_each_row_of_a_gpu_once(words):
    assert len([line for line in MEASUREMENTS.splitlines() if line.startswith(f"| {words}")]) == 1


def test_a_row_of_a_gpu_keeps_its_words_and_gets_the_figures():
    assert write_figures.updated("| images/s (FP16): a, b | 1, 2 |", [("images/s", "3, 4")]) == (
        "| images/s (FP16): a, b | 3, 4 |"
    )
    assert write_figures.updated("| other | 1 |", [("images/s", "3, 4")]) == "| other | 1 |"


def test_the_cpus_table_is_written_between_its_marks():
    text = f"before\n{write_figures.BEGIN}\nold\n{write_figures.END}\nafter"
    written = f"before\n{write_figures.BEGIN}\nnew\n{write_figures.END}\nafter"
    assert write_figures.page(text, [], "new") == written
    with pytest.raises(SlipwayError, match="has no lines"):
        write_figures.page("before\nafter", [], "new")


@pytest.mark.parametrize(
    ("open_loop", "held"),
    [(OPEN, "80.0 (steady)"), (OPEN | {"capacity_per_s": None}, "none (steady)"), (None, None)],
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


def test_what_other_work_disturbed_on_the_cpu_is_named(tmp_path):
    models = {"resnet50": {"benchmark": {"disturbed": ["int8 at batch 8"]}}, "efficientnet_lite0": {"benchmark": {}}}
    write_json(tmp_path / "cpu.json", {"models": models})
    assert figures.disturbed_in_words(tmp_path) == "Disturbed by other work: ResNet-50: int8 at batch 8."


@pytest.mark.parametrize("name", ["resnet50", "efficientnet_lite0", "text"])
def test_the_records_of_the_h100_are_not_disturbed(name):
    assert not read_json(write_figures.MEASUREMENTS / "h100" / f"{name}.json").get("benchmark", {}).get("disturbed")
