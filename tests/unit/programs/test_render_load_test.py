"""The load test's reports as a person reads them."""

import re

import pytest
from helpers.artifacts.reported import key, load_rows
from helpers.workplace import REPOSITORY
from pypdf import PdfReader

import render_load_test
from slipway.core.artifacts import read_json, sha256, write_json
from slipway.core.errors import SlipwayError
from slipway.load_test.configurations import ranked
from slipway.report.load_test_charts import memory_series, throughput_series

CPU = "A CPU [avx2] x4"
H200 = read_json(REPOSITORY / "docs" / "measurements" / "h200" / "resnet50.selection.json")
SELECTION = {name: value for name, value in H200["selection"].items() if name != "chosen_from"}  # of a part of it
NAMES = ("throughput", "memory", "summary", "detail")


def load_tested(rows, **more):
    """Return the record of a load test on a CPU."""
    engines = {name: key(name, "openvino", CPU) for name in ("fp32", "int8")}
    record = {"origin": "checkpoint", "engines": engines, "measurements": rows, "batched": True}
    record |= {"measured_at": "2026-11-29T10:00:00+00:00", "not_measured": [], "minutes": 30} | more
    return record | {"inputs": ["input uint8 (batch, <3>, 224)"], "server": {"native_backends": False}}


def chosen(row, p99_ms=2000.0, memory_mb=None):
    """Return the record of a choice."""
    return {"measured": row, "limits": {"p99_ms": p99_ms, "memory_mb": memory_mb}, "reason": "it is the cheapest"}


def sweep(configurations):
    """Return the measurements of a sweep on a GPU, each configuration with four numbers of requests in flight."""
    base = load_rows(["int8"], on_gpu=True)[1]
    return [
        base
        | {"instances": number + 1, "concurrency": concurrency, "variant": f"m_int8_config_{number}"}
        | {
            "throughput_per_s": 1000.5 + 10 * number + concurrency,
            "p50_ms": 3.25,
            "p90_ms": 7.5,
            "p99_ms": 9.25 + number,
        }
        for number in range(configurations)
        for concurrency in (1, 4, 16, 64)
    ]


@pytest.fixture
def rendered(tmp_path):
    """Return a function that renders a load test, and returns the pages of summary and detail as texts."""

    def render(record, selection):
        paths = {name: tmp_path / f"{name}.{'svg' if index < 2 else 'pdf'}" for index, name in enumerate(NAMES)}
        write_json(tmp_path / "load.json", record)
        digest = {"chosen_from": {"load_test_sha256": sha256(tmp_path / "load.json")}}
        write_json(tmp_path / "selection.json", digest | selection)
        given = ["--load-test", str(tmp_path / "load.json"), "--selection", str(tmp_path / "selection.json")]
        given += ["--throughput-chart", str(paths["throughput"]), "--memory-chart", str(paths["memory"])]
        given += ["--summary", str(paths["summary"]), "--detail", str(paths["detail"])]
        render_load_test.main(render_load_test.parse_arguments([*given, "--model", "resnet", "--target", "cpu"]))
        assert all("<svg" in paths[name].read_text(encoding="utf-8") for name in NAMES[:2])
        return [[words(page) for page in PdfReader(paths[name]).pages] for name in NAMES[2:]]

    return render


def words(page):
    return " ".join(page.extract_text().split())


def test_every_figure_of_a_real_record_is_in_the_reports(rendered):
    rows = H200["load_test"]["measurements"]
    slower = [row | {"concurrency": 16, "throughput_per_s": row["throughput_per_s"] / 3} for row in rows]
    record = H200["load_test"] | {"measured_at": H200["measured_at"], "measurements": rows + slower}
    summary, detail = (" ".join(pages) for pages in rendered(record, SELECTION))
    for text in (summary, detail):
        assert "Measured on 2026-11-29 at 17:15 UTC on NVIDIA H200" in text
        assert "Limits: p99 at most 50 ms." in text
        assert H200["selection"]["reason"] in text
        assert "Rehearsal: random weights" in text
        assert "config_" not in text
    for row in record["measurements"]:
        figures = [f"{row[name]:,.1f}" for name in ("mean_ms", "p90_ms", "p95_ms", "p99_ms", "queue_ms", "compute_ms")]
        figures += [f"{row['throughput_per_s']:,.1f}", f"{row['memory_mb']:,.0f}", f"{row['gpu_memory_mb']:,.0f}"]
        assert not [figure for figure in figures if figure not in detail]
        assert (f"{row['throughput_per_s']:,.1f}" in summary) == (row["concurrency"] == 64), "each configuration's best"
    assert "GPU memory against latency" in summary


def test_each_point_of_the_tables_is_in_the_charts():
    rows = H200["load_test"]["measurements"]
    configurations = ranked(rows, H200["selection"])
    for series, figure in ((throughput_series, "throughput_per_s"), (memory_series, "gpu_memory_mb")):
        points = [point for each in series(configurations, H200["selection"]) for point in each.points]
        assert {(point.x, point.y) for point in points} == {(row["p99_ms"], row[figure]) for row in rows}
        (ring,) = [point for point in points if point.chosen]
        assert (ring.x, ring.y) == (H200["selection"]["measured"]["p99_ms"], H200["selection"]["measured"][figure])


def test_configurations_beyond_the_colours_are_grey_and_still_drawn():
    rows = sweep(9)
    found = throughput_series(ranked(rows, chosen(rows[0])), chosen(rows[0]))
    assert sum(len(each.points) for each in found) == len(rows)
    assert [each.name for each in found[6:]] == ["3 others", "", ""]


def test_the_best_comes_first_and_the_choice_and_disturbances_are_marked(rendered):
    rows = load_rows(["fp32", "int8"], on_gpu=False)
    rows[0] |= {"variant": "resnet50_fp32_config_0", "shortened": True, "windows_per_s": [2400.0, 2600.0]}
    summary, detail = (" ".join(pages) for pages in rendered(load_tested(rows), chosen(rows[1])))
    for text in (summary, detail):
        assert text.index("2,500.0") < text.index("1,234.5 ")
        assert "disturbed, short windows" in text
        assert "disturbed: (fp32, 2 instance" in text
        assert "Chosen: it is the cheapest." in text
        assert "(batch, <3>, 224)" in text
        assert "Rehearsal" not in text
    assert "hollow: disturbed; pale: shorter windows than asked" in summary
    assert re.search(r"1,234\.5 .* chosen", summary)


def test_a_violated_limit_is_told_and_comes_last(rendered):
    rows = load_rows(["fp32", "int8"], on_gpu=False)
    rows[0] |= {"variant": "resnet50_fp32_config_0"}
    summary, _ = (
        " ".join(pages) for pages in rendered(load_tested(rows), chosen(rows[1], p99_ms=1000.0, memory_mb=1500))
    )
    assert "p99 at most 1000 ms, memory at most 1500 MB" in summary
    assert summary.index("1,234.5") < summary.rindex("2,500.0")
    assert "p99 above the limit" in summary


def test_points_that_the_time_did_not_reach_are_told(rendered):
    point = {"precision": "int8", "instances": 2, "max_batch_size": 8, "concurrency": 64}
    rows = load_rows(["fp32", "int8"], on_gpu=False)
    for pages in rendered(load_tested(rows, minutes=2, not_measured=[point]), chosen(rows[1])):
        text = " ".join(pages)
        assert "`load_test.minutes` (2) did not suffice" in text
        assert "batches up to 8, 64 in flight)" in text


def test_a_single_point_has_a_table_but_no_chart(rendered):
    rows = load_rows(["int8"], on_gpu=False)[1:]
    summary, detail = (" ".join(pages) for pages in rendered(load_tested(rows), chosen(rows[0])))
    assert "A single point was measured" in summary
    assert "against latency" not in summary
    assert "1,234.5" in summary
    assert "Latency in ms by" not in detail


def test_a_heading_its_table_and_its_chart_are_on_one_page_and_pages_are_full(rendered):
    rows = sweep(12)
    _, pages = rendered(load_tested(rows), chosen(rows[-1]))
    for number, text in enumerate(pages, 1):
        headings = re.findall(r"\b\d+\. int8, \d+ instance", text)
        assert len(headings) == text.count("Latency in ms by requests in flight") == text.count("queue ms")
        assert len(headings) >= (3 if 1 < number < len(pages) else 1), text
    assert sum(text.count("Latency in ms by") for text in pages) == 12


def test_a_choice_from_another_load_test_is_refused(rendered):
    rows = load_rows(["int8"], on_gpu=False)
    with pytest.raises(SlipwayError, match="another load test"):
        rendered(load_tested(rows), chosen(rows[0]) | {"chosen_from": {"load_test_sha256": "0"}})
